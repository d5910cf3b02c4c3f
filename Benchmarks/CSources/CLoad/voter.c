#include "voter.h"

#include "machine.h"
#include "scan.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

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

void ld_voter_refill(ld_voters *v, voter *one)
{
    if (!v->is_casting || v->schedule.events_per_second > 0)
        return;
    uint64_t now_ns = ld_now_ns();
    while (has_place(v, one))
        append_ballot(v, one, now_ns);
    v->counts.due_count = v->counts.cast_count;
    flush(v, one);
}

void ld_voters_cast_due(ld_voters *v, uint64_t now_ns)
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
    for (size_t i = 0; i < ref_bytes && place < LD_IN_FLIGHT_MAX; i++)
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

void ld_voter_on_events(ld_voters *v, voter *one, uint32_t events)
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
        ld_voter_refill(v, one);
}
