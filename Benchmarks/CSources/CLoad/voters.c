#include "voter.h"

#include "machine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SAMPLES_MAX = 1 << 16 };

/* One pass. Returns LD_OK, or what ends the run. */
static int pass(ld_voters *v, uint64_t until_ns)
{
    if (ld_interrupted())
        return LD_INTERRUPTED;
    if (v->counts.lost_count == v->plan.connection_count)
        return LD_LOST;
    uint64_t now_ns = ld_now_ns();
    if (now_ns >= until_ns)
        return LD_TIMEOUT;
    ld_voters_cast_due(v, now_ns);
    uint64_t wake_ns = until_ns;
    if (v->is_casting && v->schedule.events_per_second > 0 &&
        v->counts.cast_count >= v->counts.due_count) {
        uint64_t next_ns = ld_schedule_intended_ns(&v->schedule, v->counts.due_count);
        wake_ns = next_ns < until_ns ? next_ns : until_ns;
    }
    struct epoll_event events[LD_EVENTS_MAX];
    int count = ld_wait(v->epoll, events, ld_now_ns(), wake_ns);
    for (int i = 0; i < count; i++)
        ld_voter_on_events(v, &v->all[events[i].data.u64], events[i].events);
    return LD_OK;
}

int ld_voters_run(ld_voters *v, uint64_t until_ns)
{
    v->latency_count = 0;
    for (int i = 0; i < v->plan.connection_count; i++)
        ld_voter_refill(v, &v->all[i]);
    int result = LD_OK;
    while (result == LD_OK) {
        if (!v->is_casting && v->in_flight == 0)
            return LD_OK;
        /* A pass can complete every place once: the buffer has that much room beyond SAMPLES_MAX. */
        if (v->latency_count > SAMPLES_MAX)
            return LD_FULL;
        result = pass(v, until_ns);
    }
    return result == LD_TIMEOUT && v->is_casting ? LD_OK : result;
}

void ld_voters_start(ld_voters *v, uint64_t votes_per_second)
{
    v->is_casting = true;
    v->schedule = (ld_schedule){ .start_ns = ld_now_ns(), .events_per_second = votes_per_second };
}

void ld_voters_stop(ld_voters *v)
{
    v->is_casting = false;
}

static int open_voter(ld_voters *v, int index, uint64_t until_ns)
{
    voter *one = &v->all[index];
    size_t places = (size_t)v->plan.in_flight_count;
    one->intended_ns = calloc(places, sizeof *one->intended_ns);
    one->polls = calloc(places, sizeof *one->polls);
    one->free_places = calloc(places, sizeof *one->free_places);
    one->outbox = malloc(places * LD_BALLOT_BYTES_MAX);
    if (!one->intended_ns || !one->polls || !one->free_places || !one->outbox)
        return LD_FAILED;
    for (size_t i = 0; i < places; i++)
        one->free_places[i] = (uint16_t)i;
    int result = ld_peer_connect(&one->peer, &v->plan.target, index, v->epoll, (uint64_t)index);
    if (result < 0) {
        snprintf(v->reason, sizeof v->reason, "%s", strerror(-result));
        return LD_FAILED;
    }
    if (!ld_peer_await_connected(&one->peer, until_ns)) {
        snprintf(v->reason, sizeof v->reason, "a connection was refused");
        return LD_LOST;
    }
    if (v->plan.over_http) {
        one->is_upgraded = true;
        v->upgraded_count++;
        return LD_OK;
    }
    char request[LD_HANDSHAKE_BYTES_MAX];
    int length = ld_handshake_write(request, &v->plan.target, "/ws/");
    return send(one->peer.fd, request, (size_t)length, MSG_NOSIGNAL) == length ? LD_OK : LD_LOST;
}

static void *copy_of(const void *bytes, size_t count)
{
    void *copy = malloc(count);
    return copy ? memcpy(copy, bytes, count) : NULL;
}

int ld_voters_create(ld_voters **out, const ld_vote_plan *plan, uint64_t timeout_ns)
{
    assert(plan->in_flight_count >= 1 && plan->in_flight_count <= LD_IN_FLIGHT_MAX);
    assert(plan->poll_count >= 1 && plan->option_count >= 1);
    uint64_t until_ns = ld_now_ns() + timeout_ns;
    ld_voters *v = calloc(1, sizeof *v);
    if (!v)
        return LD_FAILED;
    *out = v;
    v->plan = *plan;
    size_t polls = (size_t)plan->poll_count, options = polls * (size_t)plan->option_count;
    v->plan.poll_ids = copy_of(plan->poll_ids, polls * sizeof *plan->poll_ids);
    v->plan.option_ids = copy_of(plan->option_ids, options * sizeof *plan->option_ids);
    v->mask = 0x9e3779b9;
    ld_host_write(v->host, &plan->target);
    v->epoll = epoll_create1(EPOLL_CLOEXEC);
    v->all = calloc((size_t)plan->connection_count, sizeof *v->all);
    size_t samples = SAMPLES_MAX +
                     (size_t)plan->connection_count * (size_t)plan->in_flight_count + 1;
    v->latency_capacity = (int)samples;
    v->latencies_ns = calloc(samples, sizeof *v->latencies_ns);
    if (v->epoll < 0 || !v->all || !v->latencies_ns || !v->plan.poll_ids || !v->plan.option_ids)
        return LD_FAILED;
    for (int i = 0; i < plan->connection_count; i++)
        v->all[i].peer.fd = -1;
    /* The default slack of 50 µs would be added to every wait of an open loop. */
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);

    int result = LD_OK;
    for (int i = 0; i < plan->connection_count && result == LD_OK; i++)
        result = open_voter(v, i, until_ns);
    while (result == LD_OK && v->upgraded_count < plan->connection_count) {
        result = pass(v, until_ns);
        if (v->counts.lost_count > 0)
            result = LD_LOST;
    }
    return result;
}

void ld_voters_destroy(ld_voters *v)
{
    if (!v)
        return;
    for (int i = 0; v->all && i < v->plan.connection_count; i++) {
        ld_peer_close(&v->all[i].peer);
        free(v->all[i].intended_ns);
        free(v->all[i].polls);
        free(v->all[i].free_places);
        free(v->all[i].outbox);
    }
    if (v->epoll >= 0)
        close(v->epoll);
    free(v->all);
    free(v->latencies_ns);
    free(v->receipts);
    free((void *)v->plan.poll_ids);
    free((void *)v->plan.option_ids);
    free(v);
}

int ld_voters_descriptor(const ld_voters *v)
{
    return v->epoll;
}

int ld_voters_poll(ld_voters *v, uint64_t *next_ns)
{
    ld_voters_cast_due(v, ld_now_ns());
    struct epoll_event events[LD_EVENTS_MAX];
    int count = epoll_wait(v->epoll, events, LD_EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        ld_voter_on_events(v, &v->all[events[i].data.u64], events[i].events);
    bool is_open_loop = v->is_casting && v->schedule.events_per_second > 0;
    bool is_behind = v->counts.cast_count < v->counts.due_count; /* then an answer makes room */
    *next_ns = is_open_loop && !is_behind
                   ? ld_schedule_intended_ns(&v->schedule, v->counts.due_count) : UINT64_MAX;
    return v->counts.lost_count == v->plan.connection_count ? LD_LOST : LD_OK;
}

int ld_voters_log(ld_voters *v, size_t capacity)
{
    free(v->receipts);
    v->receipts = calloc(capacity, sizeof *v->receipts);
    v->receipt_capacity = v->receipts ? capacity : 0;
    v->receipt_count = 0;
    v->lost_receipt_count = 0;
    return v->receipts ? LD_OK : LD_FAILED;
}

const ld_receipt *ld_voters_receipts(const ld_voters *v, size_t *count, uint64_t *lost_count)
{
    *count = v->receipt_count;
    *lost_count = v->lost_receipt_count;
    return v->receipts;
}

const uint64_t *ld_voters_latencies(const ld_voters *v, int *count)
{
    *count = v->latency_count;
    return v->latencies_ns;
}

ld_vote_counts ld_voters_counts(const ld_voters *v)
{
    return v->counts;
}

const ld_outcomes *ld_voters_outcomes(const ld_voters *v)
{
    return &v->outcomes;
}

const char *ld_voters_reason(const ld_voters *v)
{
    return v->reason;
}
