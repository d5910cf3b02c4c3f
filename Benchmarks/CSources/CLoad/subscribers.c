#include "subscribers.h"

#include "handshake.h"
#include "machine.h"
#include "peer.h"
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*  CONNECTING ──writable──▶ UPGRADING ──101──▶ WAITING ──snapshot──▶ READY
 *       └──────────────────────┴────────────────┴── end of file, Close, nonsense ──▶ CLOSED */
enum stage { UNBORN, CONNECTING, UPGRADING, WAITING, READY, CLOSED };

enum { REASON_BYTES_MAX = 160 };

/* epoll's data for the connection that carries the changes; subscribers have their index. */
static const uint64_t CONTROL = UINT64_MAX;

typedef struct subscriber {
    ld_peer peer;
    uint64_t revision; /* the newest it holds */
    uint64_t begun_ns; /* its connect() */
    uint32_t round;    /* the last round that reached it */
    uint8_t stage;     /* enum stage */
} subscriber;

struct ld_subscribers {
    ld_target target;
    int epoll;
    int count;
    int begun_count;  /* connect() called */
    int ready_count;
    int closed_count;
    subscriber *all;

    ld_peer control;
    bool answered;
    uint32_t round_number;
    ld_round *round; /* the one under way */
    uint64_t round_low, round_high; /* revisions seen in it */
    uint64_t snapshot_bytes;
    uint64_t frame_count; /* everything since the call began */

    ld_arrival *arrivals;
    size_t arrival_count, arrival_capacity;
    uint64_t lost_arrival_count;

    uint64_t *latencies_ns; /* `count` of them */
    int latency_count;
    int failure;
    char reason[REASON_BYTES_MAX];
    char handshake[LD_HANDSHAKE_BYTES_MAX];
    int handshake_bytes;
    uint8_t buffer[LD_READ_BUFFER_BYTES];
};

int ld_subscribers_create(
    ld_subscribers **out, const ld_target *target, const char *path, int count)
{
    ld_subscribers *s = calloc(1, sizeof *s);
    if (!s)
        return LD_FAILED;
    s->target = *target;
    s->count = count;
    s->control.fd = -1;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->all = calloc((size_t)count + 1, sizeof *s->all);
    s->latencies_ns = calloc((size_t)count + 1, sizeof *s->latencies_ns);
    s->handshake_bytes = ld_handshake_write(s->handshake, target, path);
    if (s->epoll < 0 || !s->all || !s->latencies_ns || s->handshake_bytes < 0) {
        ld_subscribers_destroy(s);
        return LD_FAILED;
    }
    for (int i = 0; i < count; i++)
        s->all[i].peer.fd = -1;
    *out = s;
    return LD_OK;
}

void ld_subscribers_destroy(ld_subscribers *s)
{
    if (!s)
        return;
    for (int i = 0; s->all && i < s->count; i++)
        ld_peer_close(&s->all[i].peer);
    ld_peer_close(&s->control);
    if (s->epoll >= 0)
        close(s->epoll);
    free(s->arrivals);
    free(s->all);
    free(s->latencies_ns);
    free(s);
}

/* ---- what a subscriber receives ---------------------------------------------------------- */

static void fail(ld_subscribers *s, int failure, const char *reason)
{
    if (s->failure != LD_OK)
        return; /* the first reason is the cause, the others may be its consequences */
    s->failure = failure;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
}

static void lose(ld_subscribers *s, subscriber *one, const char *reason)
{
    ld_peer_close(&one->peer);
    if (one->stage == READY)
        s->ready_count--;
    one->stage = CLOSED;
    s->closed_count++;
    fail(s, LD_LOST, reason);
}

static void note_latency(ld_subscribers *s, uint64_t from_ns, uint64_t now_ns)
{
    if (s->latency_count < s->count)
        s->latencies_ns[s->latency_count++] = now_ns - from_ns;
}

static void log_arrival(ld_subscribers *s, const subscriber *one, uint64_t now_ns)
{
    if (s->arrival_count == s->arrival_capacity) {
        s->lost_arrival_count++;
        return;
    }
    s->arrivals[s->arrival_count++] = (ld_arrival){
        .ns = now_ns, .revision = one->revision, .viewer = (uint32_t)(one - s->all) };
}

/* A frame that carries the poll's tally at `revision`. */
static void take_revision(
    ld_subscribers *s, subscriber *one, uint64_t revision, size_t wire_bytes, uint64_t now_ns)
{
    ld_round *round = s->round;
    if (round) {
        round->frame_count++;
        round->frame_bytes += wire_bytes;
    }
    if (revision <= one->revision)
        return;
    one->revision = revision;
    if (s->arrivals)
        log_arrival(s, one, now_ns);
    if (!round || one->round == s->round_number)
        return;
    one->round = s->round_number;
    round->reached_count++;
    round->last_ns = now_ns;
    note_latency(s, round->started_ns, now_ns);
    if (revision < s->round_low)
        s->round_low = revision;
    if (revision > s->round_high)
        s->round_high = revision;
}

static bool begins_with(const ld_frame *frame, const char *text, size_t text_bytes)
{
    return frame->payload_bytes >= text_bytes && memcmp(frame->payload, text, text_bytes) == 0;
}
#define BEGINS_WITH(frame, literal) begins_with(frame, literal, sizeof literal - 1)

static void take_text(
    ld_subscribers *s, subscriber *one, const ld_frame *frame, size_t wire_bytes, uint64_t now_ns)
{
    uint64_t revision;
    if (BEGINS_WITH(frame, "{\"type\":\"tally\"")) {
        if (ld_scan_number(frame->payload, frame->payload_bytes, "revision", &revision))
            take_revision(s, one, revision, wire_bytes, now_ns);
        else
            lose(s, one, "a tally without a revision");
    } else if (BEGINS_WITH(frame, "{\"type\":\"snapshot\"")) {
        if (!ld_scan_number(frame->payload, frame->payload_bytes, "revision", &revision)) {
            lose(s, one, "a snapshot without a revision");
            return;
        }
        if (one->stage == WAITING) {
            one->stage = READY;
            one->revision = revision;
            s->ready_count++;
            s->snapshot_bytes = wire_bytes;
            note_latency(s, one->begun_ns, now_ns);
        } else {
            take_revision(s, one, revision, wire_bytes, now_ns);
        }
    } else if (s->round) {
        s->round->other_count++;
    }
}

static void take_close(ld_subscribers *s, subscriber *one, const ld_frame *frame)
{
    unsigned code = 0;
    if (frame->payload_bytes >= 2)
        code = (unsigned)(frame->payload[0] << 8 | frame->payload[1]);
    char reason[64];
    snprintf(reason, sizeof reason, "the server closed a subscriber with %u", code);
    lose(s, one, reason);
}

static void answer_ping(subscriber *one, const ld_frame *ping)
{
    uint8_t pong[LD_FRAME_HEADER_BYTES_MAX + 125];
    if (ping->payload_bytes > 125)
        return;
    size_t count = ld_frame_write(pong, LD_PONG, ping->payload, ping->payload_bytes, 0x5a17c3e1);
    /* A full send buffer here would mean that thousands of pongs were not read. */
    (void)!send(one->peer.fd, pong, count, MSG_NOSIGNAL);
}

static void take_frames(
    ld_subscribers *s, subscriber *one, const uint8_t *bytes, size_t count, uint64_t now_ns)
{
    while (one->stage != CLOSED) {
        ld_frame frame;
        int used = ld_frame_parse(&frame, bytes, count);
        if (used == LD_PARTIAL) {
            ld_peer_carry(&one->peer, bytes, count);
            return;
        }
        if (used == LD_MALFORMED) {
            lose(s, one, "a malformed WebSocket frame");
            return;
        }
        s->frame_count++;
        switch (frame.opcode) {
        case LD_TEXT: take_text(s, one, &frame, (size_t)used, now_ns); break;
        case LD_PING: answer_ping(one, &frame); break;
        case LD_CLOSE: take_close(s, one, &frame); break;
        default: break;
        }
        bytes += used;
        count -= (size_t)used;
    }
}

/* Takes the answer to the handshake. Returns the bytes used, or 0 when the socket cannot go on. */
static size_t take_upgrade(
    ld_subscribers *s, subscriber *one, const uint8_t *bytes, size_t count)
{
    ld_response response;
    int used = ld_response_parse(&response, bytes, count);
    if (used == LD_PARTIAL) {
        ld_peer_carry(&one->peer, bytes, count);
        return 0;
    }
    if (used == LD_MALFORMED) {
        lose(s, one, "a malformed answer to the handshake");
        return 0;
    }
    if (!ld_handshake_is_accepted(&response, bytes)) {
        char reason[64];
        snprintf(reason, sizeof reason, "a handshake was answered with %d", response.status);
        lose(s, one, reason);
        return 0;
    }
    one->stage = WAITING;
    return (size_t)used;
}

static void on_subscriber(ld_subscribers *s, subscriber *one, uint32_t events)
{
    if (one->stage == CLOSED)
        return;
    if (one->stage == CONNECTING) {
        ssize_t sent = send(
            one->peer.fd, s->handshake, (size_t)s->handshake_bytes, MSG_NOSIGNAL);
        if (sent != s->handshake_bytes) {
            lose(s, one, "a connection was refused or broke while connecting");
            return;
        }
        one->stage = UPGRADING;
        if (!(events & EPOLLIN))
            return;
    }
    bool drained = !(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    while (!drained && one->stage != CLOSED) {
        int count = ld_peer_read(&one->peer, s->buffer, &drained);
        if (count == LD_LOST) {
            lose(s, one, "a connection ended without a Close frame");
            return;
        }
        if (count == 0)
            return;
        uint64_t now_ns = ld_now_ns();
        size_t used = 0;
        if (one->stage == UPGRADING)
            used = take_upgrade(s, one, s->buffer, (size_t)count);
        if (one->stage >= WAITING && one->stage != CLOSED)
            take_frames(s, one, s->buffer + used, (size_t)count - used, now_ns);
        /* The edge that told of the end may be the one that told of these bytes. */
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            drained = false;
    }
}

/* ---- the connection that changes the poll ------------------------------------------------- */

static void on_control(ld_subscribers *s, uint32_t events)
{
    bool drained = !(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    while (!drained) {
        int count = ld_peer_read(&s->control, s->buffer, &drained);
        if (count == LD_LOST) {
            ld_peer_close(&s->control);
            fail(s, LD_LOST, "the server closed the connection that changes the poll");
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
            fail(s, LD_LOST, "a malformed answer to the change");
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
            fail(s, LD_LOST, reason);
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

/* One pass: waits, handles. Returns LD_OK, or what ends the run. */
static int pass(ld_subscribers *s, uint64_t until_ns)
{
    if (ld_interrupted())
        return LD_INTERRUPTED;
    uint64_t now_ns = ld_now_ns();
    if (now_ns >= until_ns)
        return LD_TIMEOUT;
    struct epoll_event events[LD_EVENTS_MAX];
    int count = ld_wait(s->epoll, events, now_ns, until_ns);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == CONTROL)
            on_control(s, events[i].events);
        else
            on_subscriber(s, &s->all[events[i].data.u64], events[i].events);
    }
    return s->failure;
}

static void connect_more(ld_subscribers *s, int concurrency)
{
    while (s->begun_count < s->count && s->failure == LD_OK &&
           s->begun_count - s->ready_count < concurrency) {
        int index = s->begun_count++;
        subscriber *one = &s->all[index];
        one->begun_ns = ld_now_ns();
        int result = ld_peer_connect(&one->peer, &s->target, index, s->epoll, (uint64_t)index);
        if (result < 0) {
            fail(s, LD_FAILED, strerror(-result));
            return;
        }
        one->stage = CONNECTING;
    }
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
    int result = ld_peer_connect(&s->control, &s->target, 0, s->epoll, CONTROL);
    if (result < 0) {
        fail(s, LD_FAILED, strerror(-result));
        return LD_FAILED;
    }
    if (!ld_peer_await_connected(&s->control, until_ns)) {
        fail(s, LD_LOST, "the connection that changes the poll was refused");
        return LD_LOST;
    }
    return LD_OK;
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
    s->round = out;
    s->round_number++;
    s->round_low = UINT64_MAX;
    s->round_high = 0;
    s->answered = false;
    out->started_ns = ld_now_ns();
    if (send(s->control.fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes)
        fail(s, LD_LOST, "the change could not be sent");

    int awaited_count = awaits_frames ? s->ready_count : 0;
    result = s->failure;
    while (result == LD_OK && (!s->answered || out->reached_count < awaited_count))
        result = pass(s, out->started_ns + timeout_ns);
    s->round = NULL;

    if (result == LD_TIMEOUT)
        snprintf(s->reason, sizeof s->reason, "not every subscriber got the change in time");
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

int ld_subscribers_descriptor(const ld_subscribers *s)
{
    return s->epoll;
}

int ld_subscribers_poll(ld_subscribers *s)
{
    struct epoll_event events[LD_EVENTS_MAX];
    int count = epoll_wait(s->epoll, events, LD_EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        on_subscriber(s, &s->all[events[i].data.u64], events[i].events);
    return s->failure;
}

int ld_subscribers_log(ld_subscribers *s, size_t capacity)
{
    free(s->arrivals);
    s->arrivals = calloc(capacity, sizeof *s->arrivals);
    s->arrival_capacity = s->arrivals ? capacity : 0;
    s->arrival_count = 0;
    s->lost_arrival_count = 0;
    return s->arrivals ? LD_OK : LD_FAILED;
}

const ld_arrival *ld_subscribers_arrivals(
    const ld_subscribers *s, size_t *count, uint64_t *lost_count)
{
    *count = s->arrival_count;
    *lost_count = s->lost_arrival_count;
    return s->arrivals;
}

int ld_subscribers_holding(const ld_subscribers *s, uint64_t revision)
{
    int count = 0;
    for (int i = 0; i < s->count; i++)
        count += s->all[i].revision >= revision;
    return count;
}

const uint64_t *ld_subscribers_latencies(const ld_subscribers *s, int *count)
{
    *count = s->latency_count;
    return s->latencies_ns;
}

const char *ld_subscribers_reason(const ld_subscribers *s)
{
    return s->reason;
}
