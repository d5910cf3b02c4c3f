#include "subscriber.h"

#include "machine.h"
#include "scan.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { POLLS_EACH_MAX = 128 };

void ld_subscribers_fail(ld_subscribers *s, int failure, const char *reason)
{
    if (s->failure != LD_OK)
        return; /* the first reason is the cause, the others may be its consequences */
    s->failure = failure;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
}

void ld_subscriber_begin(ld_subscribers *s, int index)
{
    subscriber *one = &s->all[index];
    one->begun_ns = ld_now_ns();
    one->snapshot_count = 0;
    int result = ld_peer_connect(&one->peer, &s->target, index, s->epoll, (uint64_t)index);
    if (result < 0)
        ld_subscribers_fail(s, LD_FAILED, strerror(-result));
    else
        one->stage = CONNECTING;
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
    ld_subscribers_fail(s, LD_LOST, reason);
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
                ld_subscribers_fail(
                    s, LD_FAILED, "a viewer that came back was shown an earlier revision");
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
    char text[64 + 21 * POLLS_EACH_MAX];
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

void ld_subscriber_on_events(ld_subscribers *s, subscriber *one, uint32_t events)
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
