#include "subscribers.h"

#include "handshake.h"
#include "machine.h"
#include "peer.h"
#include "scan.h"
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*  CONNECTING ──writable──▶ UPGRADING ──101──▶ WAITING ──snapshot──▶ READY
 *       └──────────────────────┴────────────────┴── end of file, Close, nonsense ──▶ CLOSED */
enum stage { UNBORN, CONNECTING, UPGRADING, WAITING, READY, CLOSED };

enum { REASON_BYTES_MAX = 160, LD_POLLS_EACH_MAX = 128 };

/* epoll's data for the connection that carries the changes; subscribers have their index. */
static const uint64_t CONTROL = UINT64_MAX;

typedef struct subscriber {
    ld_peer peer;
    uint64_t revision; /* the newest it holds */
    uint64_t begun_ns; /* its connect() */
    uint32_t round;    /* the last round that reached it */
    int snapshot_count;
    uint64_t lost_ns;  /* who is to come back: since when; else 0 */
    uint64_t retry_ns; /* when to try */
    uint8_t failure_count;
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

    /* Where each watches several polls. */
    uint64_t *poll_ids;  /* ascending; NULL: one poll, by the path */
    uint64_t *revisions; /* `polls_each` of each subscriber: the newest it holds */
    int poll_count, polls_each;

    bool is_foreign; /* the server is another's */
    char *message;   /* what each says first; NULL: nothing */
    size_t message_bytes;

    ld_schedule churn_schedule; /* events_per_second 0: nobody leaves */
    ld_churn churn;
    int next_leaving;

    ld_return *returns; /* NULL: nobody comes back */
    size_t return_count, return_capacity;
    uint64_t next_retry_ns; /* the first of all; UINT64_MAX: nobody is away */
    uint64_t random;

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

    uint64_t *latencies_ns;
    int latency_count, latency_capacity;
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
    s->latency_capacity = count;
    s->polls_each = 1;
    s->next_retry_ns = UINT64_MAX;
    s->random = 0x9e3779b97f4a7c15;
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
    free(s->poll_ids);
    free(s->revisions);
    free(s->message);
    free(s->returns);
    free(s);
}

int ld_subscribers_follow(
    ld_subscribers *s, const uint64_t *poll_ids, int poll_count, int each)
{
    s->poll_ids = malloc((size_t)poll_count * sizeof *s->poll_ids);
    s->revisions = calloc((size_t)s->count * (size_t)each, sizeof *s->revisions);
    if (!s->poll_ids || !s->revisions)
        return LD_FAILED;
    memcpy(s->poll_ids, poll_ids, (size_t)poll_count * sizeof *poll_ids);
    s->poll_count = poll_count;
    s->polls_each = each;
    return LD_OK;
}

int ld_subscribers_say(ld_subscribers *s, const char *message, size_t message_bytes)
{
    s->is_foreign = true;
    if (!message)
        return LD_OK;
    s->message = malloc(message_bytes + 1);
    if (!s->message)
        return LD_FAILED;
    memcpy(s->message, message, message_bytes);
    s->message_bytes = message_bytes;
    return LD_OK;
}

/* ---- what a subscriber receives ---------------------------------------------------------- */

static void fail(ld_subscribers *s, int failure, const char *reason)
{
    if (s->failure != LD_OK)
        return; /* the first reason is the cause, the others may be its consequences */
    s->failure = failure;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
}

/* Who comes back tries at once, then after 50 ms, doubling, and up to as much more by chance. */
static void plan_return(ld_subscribers *s, subscriber *one)
{
    enum { FIRST_NS = 50000000, DOUBLINGS = 5 };
    uint64_t now_ns = ld_now_ns();
    uint64_t delay_ns = 0;
    if (one->failure_count > 0) {
        int doublings = one->failure_count - 1;
        delay_ns = (uint64_t)FIRST_NS << (doublings < DOUBLINGS ? doublings : DOUBLINGS);
        s->random = s->random * 6364136223846793005u + 1442695040888963407u;
        delay_ns += (s->random >> 33) % delay_ns;
    }
    one->lost_ns = one->lost_ns ? one->lost_ns : now_ns;
    one->failure_count += one->failure_count < UINT8_MAX;
    one->retry_ns = now_ns + delay_ns;
    if (one->retry_ns < s->next_retry_ns)
        s->next_retry_ns = one->retry_ns;
}

static void lose(ld_subscribers *s, subscriber *one, const char *reason)
{
    ld_peer_close(&one->peer);
    if (one->stage == READY)
        s->ready_count--;
    one->stage = CLOSED;
    if (s->returns) {
        plan_return(s, one);
        return;
    }
    s->closed_count++;
    fail(s, LD_LOST, reason);
}

static void note_latency(ld_subscribers *s, uint64_t from_ns, uint64_t now_ns)
{
    if (s->latency_count < s->latency_capacity)
        s->latencies_ns[s->latency_count++] = now_ns - from_ns;
}

static void log_arrival(
    ld_subscribers *s, const subscriber *one, int place, uint64_t revision, uint64_t now_ns)
{
    if (s->arrival_count == s->arrival_capacity) {
        s->lost_arrival_count++;
        return;
    }
    s->arrivals[s->arrival_count++] = (ld_arrival){
        .ns = now_ns,
        .revision = revision,
        .viewer = (uint32_t)((one - s->all) * s->polls_each + place) };
}

static bool begins_with(const ld_frame *frame, const char *text, size_t text_bytes)
{
    return frame->payload_bytes >= text_bytes && memcmp(frame->payload, text, text_bytes) == 0;
}
#define BEGINS_WITH(frame, literal) begins_with(frame, literal, sizeof literal - 1)

/* Where a frame's poll stands among those of its subscriber; -1: it is none of them. */
static int place_of(const ld_subscribers *s, const subscriber *one, const ld_frame *frame)
{
    uint64_t id;
    if (!s->poll_ids)
        return 0;
    const char *key = BEGINS_WITH(frame, "{\"type\":\"snapshot\"") ? "id" : "poll_id";
    if (!ld_scan_number(frame->payload, frame->payload_bytes, key, &id))
        return -1;
    int low = 0, high = s->poll_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (s->poll_ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == s->poll_count || s->poll_ids[low] != id)
        return -1;
    long first = (one - s->all) * s->polls_each % s->poll_count;
    return low >= first && low < first + s->polls_each ? low - (int)first : -1;
}

/* A frame that carries a poll's tally at `revision`. */
static void take_revision(
    ld_subscribers *s, subscriber *one, int place, uint64_t revision, size_t wire_bytes,
    uint64_t now_ns)
{
    uint64_t *held = s->revisions ? &s->revisions[(one - s->all) * s->polls_each + place]
                                  : &one->revision;
    ld_round *round = s->round;
    if (round) {
        round->frame_count++;
        round->frame_bytes += wire_bytes;
    }
    if (revision <= *held)
        return;
    *held = revision;
    if (s->arrivals)
        log_arrival(s, one, place, revision, now_ns);
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

static void become_ready(ld_subscribers *s, subscriber *one, uint64_t now_ns)
{
    one->stage = READY;
    s->ready_count++;
    s->churn.joined_count++;
    if (one->lost_ns != 0 && s->return_count < s->return_capacity)
        s->returns[s->return_count++] = (ld_return){ one->lost_ns, now_ns };
    one->lost_ns = 0;
    one->failure_count = 0;
    note_latency(s, one->begun_ns, now_ns);
}

/* Of another's server: whatever holds a revision is a change. */
static void take_foreign(
    ld_subscribers *s, subscriber *one, const ld_frame *frame, size_t wire_bytes, uint64_t now_ns)
{
    uint64_t revision;
    if (ld_scan_number(frame->payload, frame->payload_bytes, "revision", &revision))
        take_revision(s, one, 0, revision, wire_bytes, now_ns);
    else if (s->round)
        s->round->other_count++;
}

static void take_text(
    ld_subscribers *s, subscriber *one, const ld_frame *frame, size_t wire_bytes, uint64_t now_ns)
{
    uint64_t revision;
    int place = place_of(s, one, frame);
    if (place < 0)
        return lose(s, one, "a message about a poll that it does not watch");
    if (BEGINS_WITH(frame, "{\"type\":\"tally\"")) {
        if (ld_scan_number(frame->payload, frame->payload_bytes, "revision", &revision))
            take_revision(s, one, place, revision, wire_bytes, now_ns);
        else
            lose(s, one, "a tally without a revision");
    } else if (BEGINS_WITH(frame, "{\"type\":\"snapshot\"")) {
        if (!ld_scan_number(frame->payload, frame->payload_bytes, "revision", &revision)) {
            lose(s, one, "a snapshot without a revision");
            return;
        }
        if (one->stage == WAITING) {
            if (s->revisions)
                s->revisions[(one - s->all) * s->polls_each + place] = revision;
            if (s->returns && revision < one->revision) {
                fail(s, LD_FAILED, "a viewer that came back was shown an earlier revision");
                return;
            }
            one->revision = revision;
            s->snapshot_bytes = wire_bytes;
            if (++one->snapshot_count == s->polls_each)
                become_ready(s, one, now_ns);
        } else {
            take_revision(s, one, place, revision, wire_bytes, now_ns);
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
        case LD_BINARY:
        case LD_TEXT:
            if (s->is_foreign)
                take_foreign(s, one, &frame, (size_t)used, now_ns);
            else
                take_text(s, one, &frame, (size_t)used, now_ns);
            break;
        case LD_PING: answer_ping(one, &frame); break;
        case LD_CLOSE: take_close(s, one, &frame); break;
        default: break;
        }
        bytes += used;
        count -= (size_t)used;
    }
}

/* Says what a subscriber has to say when it is up. Returns whether it went out. */
static bool say_first(const ld_subscribers *s, const subscriber *one)
{
    char text[64 + 21 * LD_POLLS_EACH_MAX];
    uint8_t frame[sizeof text + LD_FRAME_HEADER_BYTES_MAX];
    const char *message = s->message;
    size_t count = s->message_bytes;
    if (s->poll_ids) {
        long first = (one - s->all) * s->polls_each % s->poll_count;
        count = (size_t)sprintf(text, "{\"type\":\"subscribe\",\"poll_ids\":[");
        for (int i = 0; i < s->polls_each; i++)
            count += (size_t)sprintf(
                text + count, "%s%llu", i > 0 ? "," : "",
                (unsigned long long)s->poll_ids[first + i]);
        count += (size_t)sprintf(text + count, "]}");
        message = text;
    }
    if (!message || count > sizeof text)
        return !message;
    size_t length = ld_frame_write(
        frame, LD_TEXT, (const uint8_t *)message, count, 0x31c0ffee);
    return send(one->peer.fd, frame, length, MSG_NOSIGNAL) == (ssize_t)length;
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
    if (!say_first(s, one)) {
        lose(s, one, "the first message could not be sent");
        return 0;
    }
    if (s->is_foreign)
        become_ready(s, one, ld_now_ns());
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

static void begin_one(ld_subscribers *s, int index);

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
            begin_one(s, i);
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
        if (events[i].data.u64 == CONTROL)
            on_control(s, events[i].events);
        else
            on_subscriber(s, &s->all[events[i].data.u64], events[i].events);
    }
    return s->failure;
}

static void begin_one(ld_subscribers *s, int index)
{
    subscriber *one = &s->all[index];
    one->begun_ns = ld_now_ns();
    one->snapshot_count = 0;
    int result = ld_peer_connect(&one->peer, &s->target, index, s->epoll, (uint64_t)index);
    if (result < 0)
        fail(s, LD_FAILED, strerror(-result));
    else
        one->stage = CONNECTING;
}

static void connect_more(ld_subscribers *s, int concurrency)
{
    while (s->begun_count < s->count && s->failure == LD_OK &&
           s->begun_count - s->ready_count < concurrency)
        begin_one(s, s->begun_count++);
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
        fail(s, LD_LOST, "the change could not be sent");
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

int ld_subscribers_descriptor(const ld_subscribers *s)
{
    return s->epoll;
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
        begin_one(s, index);
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

int ld_subscribers_persist(ld_subscribers *s, size_t capacity)
{
    s->returns = calloc(capacity, sizeof *s->returns);
    s->return_capacity = s->returns ? capacity : 0;
    return s->returns ? LD_OK : LD_FAILED;
}

const ld_return *ld_subscribers_returns(const ld_subscribers *s, size_t *count)
{
    *count = s->return_count;
    return s->returns;
}

ld_churn ld_subscribers_churn(const ld_subscribers *s)
{
    return s->churn;
}

int ld_subscribers_poll(ld_subscribers *s, uint64_t *next_ns)
{
    churn_due(s);
    *next_ns = s->churn_schedule.events_per_second > 0
                   ? ld_schedule_intended_ns(&s->churn_schedule, s->churn.due_count) : UINT64_MAX;
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
