#include "voters.h"

#include "handshake.h"
#include "machine.h"
#include "peer.h"
#include "scan.h"
#include "schedule.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IN_FLIGHT_MAX = 4096,
    SAMPLES_MAX = 1 << 16,
    REASON_BYTES_MAX = 160,
};

/* A place for one ballot in flight. Over WebSocket an answer names its place in `ref`; over HTTP
 * answers come in the order of the requests, and the places are a ring. */
typedef struct voter {
    ld_peer peer;
    uint64_t *intended_ns; /* by place; 0: free */
    uint32_t *polls;       /* by place */
    uint16_t *free_places; /* WebSocket: a stack of `place_count - in_flight` */
    uint8_t *outbox;       /* room for every ballot in flight, so it cannot overflow */
    size_t outbox_bytes;
    int in_flight;
    int oldest_place; /* HTTP */
    bool is_upgraded;
    bool is_blocked; /* the kernel took no more; wait for writable */
} voter;

struct ld_voters {
    ld_vote_plan plan;
    ld_schedule schedule; /* events_per_second 0: closed loop */
    bool is_casting;
    int epoll;
    int next_voter; /* open loop: whose turn it is */
    int upgraded_count;
    int in_flight;
    uint32_t mask;
    ld_vote_counts counts;
    ld_outcomes outcomes;
    voter *all;
    uint64_t *latencies_ns;
    int latency_count, latency_capacity;
    ld_receipt *receipts;
    size_t receipt_count, receipt_capacity;
    uint64_t lost_receipt_count;
    char host[LD_HOST_BYTES_MAX];
    char reason[REASON_BYTES_MAX];
    uint8_t buffer[LD_READ_BUFFER_BYTES];
};

/* ---- casting ------------------------------------------------------------------------------ */

static bool has_place(const ld_voters *v, const voter *one)
{
    return one->peer.fd >= 0 && one->is_upgraded && one->in_flight < v->plan.in_flight_count;
}

static int take_place(const ld_voters *v, voter *one)
{
    int used = one->in_flight++;
    if (v->plan.over_http)
        return (one->oldest_place + used) % v->plan.in_flight_count;
    return one->free_places[v->plan.in_flight_count - 1 - used];
}

static void append_ballot(ld_voters *v, voter *one, uint64_t intended_ns)
{
    int place = take_place(v, one);
    uint64_t number = v->counts.cast_count++;
    const ld_vote_plan *plan = &v->plan;
    uint64_t poll = number % (uint64_t)plan->poll_count;
    uint64_t option = number / (uint64_t)plan->poll_count % (uint64_t)plan->option_count;
    one->intended_ns[place] = intended_ns;
    one->polls[place] = (uint32_t)poll;
    v->in_flight++;
    ld_ballot ballot = {
        .poll_id = plan->poll_ids[poll],
        .option_id = plan->option_ids[poll * (uint64_t)plan->option_count + option],
        .voter = plan->first_voter + number,
    };
    v->mask = v->mask * 1664525u + 1013904223u;
    uint8_t *out = one->outbox + one->outbox_bytes;
    one->outbox_bytes += plan->over_http ? ld_ballot_write_http(out, &ballot, v->host)
                                         : ld_ballot_write_websocket(out, &ballot, place, v->mask);
    assert(one->outbox_bytes <= (size_t)plan->in_flight_count * LD_BALLOT_BYTES_MAX);
}

static void lose(ld_voters *v, voter *one, const char *reason)
{
    if (one->peer.fd < 0)
        return;
    ld_peer_close(&one->peer);
    v->in_flight -= one->in_flight;
    v->counts.lost_count++;
    if (v->reason[0] == 0)
        snprintf(v->reason, sizeof v->reason, "%s", reason);
}

static void flush(ld_voters *v, voter *one)
{
    if (one->peer.fd < 0 || one->is_blocked || one->outbox_bytes == 0)
        return;
    ssize_t sent = send(one->peer.fd, one->outbox, one->outbox_bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        lose(v, one, "a connection that casts ballots broke");
        return;
    }
    size_t taken = sent > 0 ? (size_t)sent : 0;
    one->is_blocked = taken < one->outbox_bytes;
    /* The outbox has room for all that is in flight once: the rest moves to its front. */
    one->outbox_bytes -= taken;
    memmove(one->outbox, one->outbox + taken, one->outbox_bytes);
}

/* Closed loop: fills the free places of one connection. */
static void refill(ld_voters *v, voter *one)
{
    if (!v->is_casting || v->schedule.events_per_second > 0)
        return;
    uint64_t now_ns = ld_now_ns();
    while (has_place(v, one))
        append_ballot(v, one, now_ns);
    v->counts.due_count = v->counts.cast_count;
    flush(v, one);
}

/* Open loop: casts what is due, in turn; what finds no place waits with its intended time. */
static void cast_due(ld_voters *v, uint64_t now_ns)
{
    if (!v->is_casting || v->schedule.events_per_second == 0)
        return;
    v->counts.due_count = ld_schedule_due(&v->schedule, now_ns);
    int full_count = 0;
    while (v->counts.cast_count < v->counts.due_count && full_count < v->plan.connection_count) {
        voter *one = &v->all[v->next_voter];
        v->next_voter = (v->next_voter + 1) % v->plan.connection_count;
        if (!has_place(v, one)) {
            full_count++;
            continue;
        }
        full_count = 0;
        append_ballot(v, one, ld_schedule_intended_ns(&v->schedule, v->counts.cast_count));
    }
    for (int i = 0; i < v->plan.connection_count; i++)
        flush(v, &v->all[i]);
}

/* ---- answers ------------------------------------------------------------------------------ */

static void log_receipt(
    ld_voters *v, const voter *one, int place, const uint8_t *json, size_t count, uint64_t now_ns)
{
    uint64_t revision;
    if (!v->receipts || !ld_scan_number(json, count, "revision", &revision))
        return;
    if (v->receipt_count == v->receipt_capacity) {
        v->lost_receipt_count++;
        return;
    }
    v->receipts[v->receipt_count++] =
        (ld_receipt){ .intended_ns = one->intended_ns[place],
                      .answered_ns = now_ns,
                      .revision = revision,
                      .poll = one->polls[place] };
}

static void complete(ld_voters *v, voter *one, int place, uint64_t now_ns)
{
    /* In an open loop an answer cannot come before the intended time. */
    if (v->latency_count < v->latency_capacity)
        v->latencies_ns[v->latency_count++] = now_ns - one->intended_ns[place];
    one->intended_ns[place] = 0;
    one->in_flight--;
    v->in_flight--;
    v->counts.answer_count++;
    if (v->plan.over_http)
        one->oldest_place = (one->oldest_place + 1) % v->plan.in_flight_count;
    else
        one->free_places[v->plan.in_flight_count - 1 - one->in_flight] = (uint16_t)place;
}

static void take_message(ld_voters *v, voter *one, const ld_frame *frame, uint64_t now_ns)
{
    const uint8_t *ref;
    size_t ref_bytes;
    if (!ld_scan_text(frame->payload, frame->payload_bytes, "ref", &ref, &ref_bytes)) {
        v->counts.stray_count++;
        return;
    }
    int place = 0;
    for (size_t i = 0; i < ref_bytes && place < IN_FLIGHT_MAX; i++)
        place = place * 10 + (ref[i] - '0');
    if (place < 0 || place >= v->plan.in_flight_count || one->intended_ns[place] == 0) {
        v->counts.stray_count++;
        return;
    }
    ld_outcomes_add(&v->outcomes, frame->payload, frame->payload_bytes, "no status");
    log_receipt(v, one, place, frame->payload, frame->payload_bytes, now_ns);
    complete(v, one, place, now_ns);
}

static int take_frame(
    ld_voters *v, voter *one, const uint8_t *bytes, size_t count, uint64_t now_ns)
{
    ld_frame frame;
    int used = ld_frame_parse(&frame, bytes, count);
    if (used <= 0)
        return used;
    if (frame.opcode == LD_TEXT) {
        take_message(v, one, &frame, now_ns);
    } else if (frame.opcode == LD_CLOSE) {
        lose(v, one, "the server closed a connection that casts ballots");
    } else if (frame.opcode == LD_PING && frame.payload_bytes <= 125 && one->outbox_bytes == 0) {
        /* Between whole ballots only; a ping met while blocked goes unanswered, the next will not. */
        uint8_t pong[LD_FRAME_HEADER_BYTES_MAX + 125];
        size_t length = ld_frame_write(pong, LD_PONG, frame.payload, frame.payload_bytes, v->mask);
        (void)!send(one->peer.fd, pong, length, MSG_NOSIGNAL);
    }
    return used;
}

static int take_response(
    ld_voters *v, voter *one, const uint8_t *bytes, size_t count, uint64_t now_ns)
{
    ld_response response;
    int used = ld_response_parse(&response, bytes, count);
    if (used <= 0)
        return used;
    if (!one->is_upgraded) {
        if (!ld_handshake_is_accepted(&response, bytes))
            return LD_MALFORMED;
        one->is_upgraded = true;
        v->upgraded_count++;
    } else if (one->in_flight == 0) {
        v->counts.stray_count++;
    } else {
        char otherwise[16];
        snprintf(otherwise, sizeof otherwise, "HTTP %d", response.status);
        ld_outcomes_add(&v->outcomes, response.body, response.body_bytes, otherwise);
        log_receipt(v, one, one->oldest_place, response.body, response.body_bytes, now_ns);
        complete(v, one, one->oldest_place, now_ns);
    }
    return used;
}

static void on_voter(ld_voters *v, voter *one, uint32_t events)
{
    if (one->peer.fd < 0)
        return;
    if (events & EPOLLOUT) {
        one->is_blocked = false;
        flush(v, one);
    }
    bool is_ending = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    bool drained = !(events & EPOLLIN) && !is_ending;
    while (!drained && one->peer.fd >= 0) {
        int count = ld_peer_read(&one->peer, v->buffer, &drained);
        if (count == LD_LOST) {
            lose(v, one, "the server ended a connection that casts ballots");
            return;
        }
        if (count == 0)
            break;
        uint64_t now_ns = ld_now_ns();
        const uint8_t *at = v->buffer, *end = at + count;
        int used = 1;
        while (at < end && used > 0 && one->peer.fd >= 0) {
            bool is_http = v->plan.over_http || !one->is_upgraded;
            used = is_http ? take_response(v, one, at, (size_t)(end - at), now_ns)
                           : take_frame(v, one, at, (size_t)(end - at), now_ns);
            at += used > 0 ? used : 0;
        }
        if (used == LD_MALFORMED)
            lose(v, one, "a malformed answer, or a refused handshake");
        else if (one->peer.fd >= 0)
            ld_peer_carry(&one->peer, at, (size_t)(end - at));
        drained = drained && !is_ending;
    }
    if (one->peer.fd >= 0)
        refill(v, one);
}

/* ---- runs --------------------------------------------------------------------------------- */

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
    cast_due(v, now_ns);
    uint64_t wake_ns = until_ns;
    if (v->is_casting && v->schedule.events_per_second > 0 &&
        v->counts.cast_count >= v->counts.due_count) {
        uint64_t next_ns = ld_schedule_intended_ns(&v->schedule, v->counts.due_count);
        wake_ns = next_ns < until_ns ? next_ns : until_ns;
    }
    struct epoll_event events[LD_EVENTS_MAX];
    int count = ld_wait(v->epoll, events, ld_now_ns(), wake_ns);
    for (int i = 0; i < count; i++)
        on_voter(v, &v->all[events[i].data.u64], events[i].events);
    return LD_OK;
}

int ld_voters_run(ld_voters *v, uint64_t until_ns)
{
    v->latency_count = 0;
    for (int i = 0; i < v->plan.connection_count; i++)
        refill(v, &v->all[i]);
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
    assert(plan->in_flight_count >= 1 && plan->in_flight_count <= IN_FLIGHT_MAX);
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
    cast_due(v, ld_now_ns());
    struct epoll_event events[LD_EVENTS_MAX];
    int count = epoll_wait(v->epoll, events, LD_EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        on_voter(v, &v->all[events[i].data.u64], events[i].events);
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
