#include <stdlib.h>
#include <string.h>

#include "outbox.h"

static ps_frame *frame_create(
    ps_loop *loop, const uint8_t *header, size_t header_count, const uint8_t *bytes,
    size_t count) {
    PS_ASSERT_THREAD(loop);
    if (count > UINT32_MAX / 2) {
        return NULL;
    }
    ps_frame *frame = malloc(sizeof *frame + header_count + count);
    if (!frame) {
        return NULL;
    }
    *frame = (ps_frame){
        .loop = loop, .references = 1, .count = (uint32_t)(header_count + count)};
    memcpy(frame->bytes, header, header_count);
    if (count > 0) {
        memcpy(frame->bytes + header_count, bytes, count);
    }
    return frame;
}

ps_frame *ps_frame_create_text(ps_loop *loop, const uint8_t *text, size_t count) {
    uint8_t header[PS_WS_SERVER_HEADER_BYTES_MAX];
    size_t header_count = ps_ws_write_header(header, PS_WS_TEXT, false, count);
    return frame_create(loop, header, header_count, text, count);
}

ps_frame *ps_frame_create_raw(ps_loop *loop, const uint8_t *bytes, size_t count) {
    return frame_create(loop, (const uint8_t *)"", 0, bytes, count);
}

void ps_frame_retain(ps_frame *frame) {
    PS_ASSERT_THREAD(frame->loop);
    frame->references++;
}

void ps_frame_release(ps_frame *frame) {
    PS_ASSERT_THREAD(frame->loop);
    assert(frame->references > 0);
    if (--frame->references == 0) {
        free(frame);
    }
}

size_t ps_frame_bytes(const ps_frame *frame) {
    return frame->count;
}
