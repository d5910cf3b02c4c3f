#include "subscriber.h"

#include "machine.h"
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* ---- the connection that changes the poll ------------------------------------------------- */

static void on_control(ld_subscribers *s, uint32_t events)
{
    bool drained = !(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    while (!drained) {
        int count = ld_peer_read(&s->control, s->buffer, &drained);
        if (count == LD_LOST) {
            ld_peer_close(&s->control);
            ld_subscribers_fail(
                s, LD_LOST, "the server closed the connection that changes the poll");
            return;
        }
        if (count == 0)
            return;
        ld_response response;
        int used = ld_response_parse(&response, s->buffer, (size_t)count);
        if (used == LD_PARTIAL) {
            ld_peer_carry(&s->control, s->buffer, (size_t)count);
            continue;
        }
        if (used == LD_MALFORMED || !s->round || s->answered) {
            ld_subscribers_fail(s, LD_LOST, "a malformed answer to the change");
            return;
        }
        s->answered = true;
        s->round->status = response.status;
        bool told = ld_scan_number(
            response.body, response.body_bytes, "revision", &s->round->revision);
        if (response.status / 100 != 2 || !told) {
            char reason[64];
            snprintf(
                reason, sizeof reason, "the change was answered with %d%s", response.status,
                told ? "" : " and no revision");
            ld_subscribers_fail(s, LD_LOST, reason);
        }
    }
}

/* ---- runs --------------------------------------------------------------------------------- */

static void begin_run(ld_subscribers *s)
{
    s->failure = LD_OK;
    s->reason[0] = 0;
    s->latency_count = 0;
    s->frame_count = 0;
}

/* Those whose time has come try to come back. */
static void retry_due(ld_subscribers *s, uint64_t now_ns)
{
    if (now_ns < s->next_retry_ns)
        return;
    s->next_retry_ns = UINT64_MAX;
    for (int i = 0; i < s->count; i++) {
        subscriber *one = &s->all[i];
        if (one->stage != CLOSED || one->lost_ns == 0)
            continue;
        if (one->retry_ns <= now_ns)
            ld_subscriber_begin(s, i);
        else if (one->retry_ns < s->next_retry_ns)
            s->next_retry_ns = one->retry_ns;
    }
}

/* One pass: waits, handles. Returns LD_OK, or what ends the run. */
static int pass(ld_subscribers *s, uint64_t until_ns)
{
    if (ld_interrupted())
        return LD_INTERRUPTED;
    uint64_t now_ns = ld_now_ns();
    if (now_ns >= until_ns)
        return LD_TIMEOUT;
    retry_due(s, now_ns);
    struct epoll_event events[LD_EVENTS_MAX];
    int count = ld_wait(
        s->epoll, events, now_ns, s->next_retry_ns < until_ns ? s->next_retry_ns : until_ns);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == LD_CONTROL)
            on_control(s, events[i].events);
        else
            ld_subscriber_on_events(s, &s->all[events[i].data.u64], events[i].events);
    }
    return s->failure;
}

static void connect_more(ld_subscribers *s, int concurrency)
{
    while (s->begun_count < s->count && s->failure == LD_OK &&
           s->begun_count - s->ready_count < concurrency)
        ld_subscriber_begin(s, s->begun_count++);
}

int ld_subscribers_open(
    ld_subscribers *s, int concurrency, uint64_t timeout_ns, ld_opening *out)
{
    begin_run(s);
    uint64_t started_ns = ld_now_ns();
    int result = LD_OK;
    while (result == LD_OK && s->ready_count < s->count) {
        connect_more(s, concurrency);
        result = s->failure != LD_OK ? s->failure : pass(s, started_ns + timeout_ns);
    }
    *out = (ld_opening){
        .started_ns = started_ns,
        .finished_ns = ld_now_ns(),
        .snapshot_bytes = s->snapshot_bytes,
        .ready_count = s->ready_count,
    };
    if (result == LD_TIMEOUT)
        snprintf(s->reason, sizeof s->reason, "not every subscriber got its snapshot in time");
    return result;
}

static int connect_control(ld_subscribers *s, uint64_t until_ns)
{
    if (s->control.fd >= 0)
        return LD_OK;
    int result = ld_peer_connect(&s->control, &s->target, 0, s->epoll, LD_CONTROL);
    if (result < 0) {
        ld_subscribers_fail(s, LD_FAILED, strerror(-result));
        return LD_FAILED;
    }
    if (!ld_peer_await_connected(&s->control, until_ns)) {
        ld_subscribers_fail(s, LD_LOST, "the connection that changes the poll was refused");
        return LD_LOST;
    }
    return LD_OK;
}

static void begin_round(ld_subscribers *s, ld_round *out, uint64_t started_ns)
{
    s->round = out;
    s->round_number++;
    s->round_low = UINT64_MAX;
    s->round_high = 0;
    s->answered = true;
    out->started_ns = started_ns;
}

static int finish_round(ld_subscribers *s, int awaited_count, uint64_t timeout_ns)
{
    int result = s->failure;
    while (result == LD_OK && (!s->answered || s->round->reached_count < awaited_count))
        result = pass(s, s->round->started_ns + timeout_ns);
    s->round = NULL;
    if (result == LD_TIMEOUT)
        snprintf(s->reason, sizeof s->reason, "not every subscriber got the change in time");
    return result;
}

int ld_subscribers_await(
    ld_subscribers *s, uint64_t started_ns, uint64_t timeout_ns, ld_round *out)
{
    begin_run(s);
    *out = (ld_round){ 0 };
    begin_round(s, out, started_ns);
    int result = finish_round(s, s->ready_count, timeout_ns);
    out->revision = s->round_high;
    return result;
}

int ld_subscribers_round(
    ld_subscribers *s, const char *request, size_t request_bytes, bool awaits_frames,
    uint64_t timeout_ns, ld_round *out)
{
    begin_run(s);
    *out = (ld_round){ 0 };
    int result = connect_control(s, ld_now_ns() + timeout_ns);
    if (result != LD_OK)
        return result;
    begin_round(s, out, ld_now_ns());
    s->answered = false;
    if (send(s->control.fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes)
        ld_subscribers_fail(s, LD_LOST, "the change could not be sent");
    result = finish_round(s, awaits_frames ? s->ready_count : 0, timeout_ns);
    /* Exact where all agree, as they should; otherwise counted one by one. */
    if (out->reached_count > 0 &&
        (s->round_low != out->revision || s->round_high != out->revision)) {
        for (int i = 0; i < s->count; i++)
            if (s->all[i].round == s->round_number && s->all[i].revision != out->revision)
                out->mismatch_count++;
    }
    return result;
}

int ld_subscribers_rest(ld_subscribers *s, uint64_t rest_ns, uint64_t *frame_count)
{
    begin_run(s);
    uint64_t until_ns = ld_now_ns() + rest_ns;
    int result = LD_OK;
    while (result == LD_OK)
        result = pass(s, until_ns);
    *frame_count = s->frame_count;
    return result == LD_TIMEOUT ? LD_OK : result;
}

/* The next in turn leaves, if it is there, and joins again at once. */
static void churn_due(ld_subscribers *s)
{
    if (s->churn_schedule.events_per_second == 0)
        return;
    uint64_t due_count = ld_schedule_due(&s->churn_schedule, ld_now_ns());
    for (; s->churn.due_count < due_count && s->failure == LD_OK; s->churn.due_count++) {
        int index = s->next_leaving;
        subscriber *one = &s->all[index];
        s->next_leaving = (index + 1) % s->count;
        if (one->stage != READY)
            continue; /* its joining takes that long: a leaving that is missing in the report */
        ld_peer_close(&one->peer);
        s->ready_count--;
        s->churn.left_count++;
        ld_subscriber_begin(s, index);
    }
}

int ld_subscribers_begin_churn(ld_subscribers *s, uint64_t per_second, size_t capacity)
{
    s->churn_schedule = (ld_schedule){ .start_ns = ld_now_ns(), .events_per_second = per_second };
    if (per_second == 0)
        return LD_OK;
    begin_run(s);
    s->churn = (ld_churn){ 0 };
    uint64_t *latencies_ns = realloc(s->latencies_ns, (capacity + 1) * sizeof *latencies_ns);
    if (!latencies_ns)
        return LD_FAILED;
    s->latencies_ns = latencies_ns;
    s->latency_capacity = (int)capacity;
    return LD_OK;
}

int ld_subscribers_poll(ld_subscribers *s, uint64_t *next_ns)
{
    churn_due(s);
    *next_ns = s->churn_schedule.events_per_second > 0
                   ? ld_schedule_intended_ns(&s->churn_schedule, s->churn.due_count) : UINT64_MAX;
    struct epoll_event events[LD_EVENTS_MAX];
    int count = epoll_wait(s->epoll, events, LD_EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        ld_subscriber_on_events(s, &s->all[events[i].data.u64], events[i].events);
    return s->failure;
}
