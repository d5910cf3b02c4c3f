#include <stdlib.h>
#include <string.h>

#include "memory_bound.h"
#include "outbox.h"

/* ---- The compressed form ---- */

/* Takes one message of those in a frame. Returns its payload. */
static ps_bytes take_message(ps_bytes *messages, uint8_t *opcode) {
    size_t payload_bytes;
    size_t header_count = ps_ws_read_server_header(messages->start, opcode, &payload_bytes);
    assert(header_count + payload_bytes <= messages->count);
    ps_bytes payload = {messages->start + header_count, payload_bytes};
    messages->start += header_count + payload_bytes;
    messages->count -= header_count + payload_bytes;
    return payload;
}

/* Whether any of the messages is worth it; most tallies are small. */
static bool has_large_message(const ps_loop *loop, ps_bytes messages) {
    while (messages.count > 0) {
        uint8_t opcode;
        if (ps_frame_is_worth_deflating(loop, take_message(&messages, &opcode).count)) {
            return true;
        }
    }
    return false;
}

/* The messages of `plain`, those compressed that are worth it; NULL where that is of no use. */
static ps_frame *create_deflated(ps_loop *loop, const ps_frame *plain) {
    ps_bytes messages = {plain->bytes, plain->count};
    if (!has_large_message(loop, messages)) {
        return NULL;
    }
    ps_frame *frame = malloc(sizeof *frame + plain->count); /* no message becomes longer */
    if (!frame) {
        return NULL;
    }
    *frame = (ps_frame){.loop = loop, .references = 1};
    while (messages.count > 0) {
        uint8_t opcode;
        ps_bytes payload = take_message(&messages, &opcode);
        bool compressed = ps_frame_is_worth_deflating(loop, payload.count)
            && ps_loop_deflate(loop, payload.start, payload.count, &payload);
        uint8_t *out = frame->bytes + frame->count;
        size_t header_count = ps_ws_write_header(out, opcode, compressed, payload.count);
        if (payload.count > 0) {
            memcpy(out + header_count, payload.start, payload.count);
        }
        frame->count += (uint32_t)(header_count + payload.count);
    }
    if (frame->count < plain->count) {
        ps_frame *fitting = realloc(frame, sizeof *frame + frame->count);
        frame = fitting ? fitting : frame;
        ps_memory_hold(loop, sizeof *frame + frame->count);
        return frame;
    }
    free(frame);
    return NULL;
}

static bool anybody_deflates(const ps_loop *loop) {
    const _Atomic uint64_t *gauge =
        &loop->counters[offsetof(ps_statistics, deflating_connections) / sizeof(uint64_t)];
    return atomic_load_explicit(gauge, memory_order_relaxed) > 0;
}

/* ---- Life ---- */

static ps_frame *frame_create(ps_loop *loop, const uint8_t *bytes, size_t count) {
    PS_ASSERT_THREAD(loop);
    if (count > UINT32_MAX / 2) {
        return NULL;
    }
    ps_frame *frame = malloc(sizeof *frame + count);
    if (!frame) {
        return NULL;
    }
    *frame = (ps_frame){.loop = loop, .references = 1, .count = (uint32_t)count};
    if (count > 0) {
        memcpy(frame->bytes, bytes, count);
    }
    ps_memory_hold(loop, sizeof *frame + frame->count);
    return frame;
}

static ps_frame *with_deflated(ps_loop *loop, ps_frame *frame) {
    if (frame && anybody_deflates(loop)) {
        frame->deflated = create_deflated(loop, frame);
    }
    return frame;
}

ps_frame *ps_frame_create_messages(ps_loop *loop, const uint8_t *bytes, size_t count) {
    return with_deflated(loop, frame_create(loop, bytes, count));
}

ps_frame *ps_frame_create_raw(ps_loop *loop, const uint8_t *bytes, size_t count) {
    return frame_create(loop, bytes, count);
}

void ps_frame_retain(ps_frame *frame) {
    PS_ASSERT_THREAD(frame->loop);
    frame->references++;
}

void ps_frame_release(ps_frame *frame) {
    PS_ASSERT_THREAD(frame->loop);
    assert(frame->references > 0);
    if (--frame->references == 0) {
        if (frame->deflated) {
            ps_frame_release(frame->deflated); /* has none of its own */
        }
        ps_memory_give(frame->loop, sizeof *frame + frame->count);
        free(frame);
    }
}
