#include "deflate.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    LEVEL = 6,
    /* Windows of 2^10 and more make messages of ours no shorter: what repeats is near. */
    WINDOW_BITS = 9,
    MEMORY_LEVEL = 5, /* blocks of 2,048 symbols */
    RAW = -1,         /* no header or trailer of zlib's */
    BUFFER_MIN = 4 << 10,
    BUFFER_KEPT = 64 << 10, /* a larger one is freed before the next message */
    AT_BLOCK_END = 128,     /* in data_type after inflate() */
    UNUSED_BITS = 63,
};

/* What ends a message on the wire and is left out of it (RFC 7692 §7.2.1). */
static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};

struct buffer {
    uint8_t *bytes;
    size_t capacity;
};

struct ps_deflate {
    z_stream deflate, inflate;
    struct buffer deflated, inflated;
};

ps_deflate *ps_deflate_create(void) {
    ps_deflate *codec = calloc(1, sizeof *codec);
    if (!codec) {
        return NULL;
    }
    if (deflateInit2(
            &codec->deflate, LEVEL, Z_DEFLATED, RAW * WINDOW_BITS, MEMORY_LEVEL,
            Z_DEFAULT_STRATEGY)
            != Z_OK
        || inflateInit2(&codec->inflate, RAW * MAX_WBITS) != Z_OK) {
        ps_deflate_destroy(codec);
        return NULL;
    }
    return codec;
}

void ps_deflate_destroy(ps_deflate *codec) {
    if (!codec) {
        return;
    }
    (void)deflateEnd(&codec->deflate); /* they answer that something was under way */
    (void)inflateEnd(&codec->inflate);
    free(codec->deflated.bytes);
    free(codec->inflated.bytes);
    free(codec);
}

static bool reserve(struct buffer *buffer, size_t capacity) {
    if (capacity <= buffer->capacity) {
        return true;
    }
    uint8_t *bytes = realloc(buffer->bytes, capacity);
    if (!bytes) {
        return false;
    }
    *buffer = (struct buffer){bytes, capacity};
    return true;
}

/* A burst of large messages is not to be remembered for ever. */
static void shrink(struct buffer *buffer) {
    if (buffer->capacity > BUFFER_KEPT) {
        free(buffer->bytes);
        *buffer = (struct buffer){0};
    }
}

bool ps_deflate_message(
    ps_deflate *codec, const uint8_t *bytes, size_t count, ps_bytes *out) {
    struct buffer *buffer = &codec->deflated;
    shrink(buffer);
    /* Room for no more than would be worth sending: where it is used up, nothing was gained. */
    size_t room = count + sizeof tail;
    if (count > UINT_MAX / 2 || !reserve(buffer, room)) {
        return false;
    }
    z_stream *stream = &codec->deflate;
    (void)deflateReset(stream);
    stream->next_in = (uint8_t *)bytes; /* zlib only reads it */
    stream->avail_in = (uInt)count;
    stream->next_out = buffer->bytes;
    stream->avail_out = (uInt)room;
    if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_out == 0) {
        return false;
    }
    size_t produced = room - stream->avail_out - sizeof tail;
    *out = (ps_bytes){buffer->bytes, produced};
    return produced < count;
}

/* Expands one piece of a message's payload behind what has come out so far. */
static uint16_t inflate_piece(
    ps_deflate *codec, const uint8_t *bytes, size_t count, size_t limit, size_t *produced) {
    struct buffer *buffer = &codec->inflated;
    z_stream *stream = &codec->inflate;
    stream->next_in = (uint8_t *)bytes;
    stream->avail_in = (uInt)count;
    do {
        if (*produced == buffer->capacity) {
            /* One byte past the limit is enough to know. */
            size_t wanted = buffer->capacity ? buffer->capacity * 2 : BUFFER_MIN;
            if (!reserve(buffer, wanted < limit + 1 ? wanted : limit + 1)) {
                return 1011;
            }
        }
        size_t room = buffer->capacity - *produced;
        room = room < UINT_MAX ? room : UINT_MAX;
        stream->next_out = buffer->bytes + *produced;
        stream->avail_out = (uInt)room;
        int result = inflate(stream, Z_SYNC_FLUSH);
        *produced += room - stream->avail_out;
        if (*produced > limit) {
            return 1009;
        }
        if (result == Z_STREAM_END) {
            (void)inflateReset(stream); /* a final block may be followed by another (§7.2.3.4) */
        } else if (result == Z_MEM_ERROR) {
            return 1011;
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return 1007;
        }
    } while (stream->avail_in > 0 || stream->avail_out == 0);
    return 0;
}

uint16_t ps_inflate_message(
    ps_deflate *codec, const uint8_t *bytes, size_t count, size_t limit, ps_bytes *out) {
    size_t produced = 0;
    shrink(&codec->inflated);
    if (count > UINT_MAX) {
        return 1009;
    }
    (void)inflateReset(&codec->inflate);
    uint16_t code = inflate_piece(codec, bytes, count, limit, &produced);
    if (code == 0) {
        code = inflate_piece(codec, tail, sizeof tail, limit, &produced);
    }
    int where = codec->inflate.data_type;
    if (code == 0 && (!(where & AT_BLOCK_END) || where & UNUSED_BITS)) {
        code = 1007;
    }
    *out = (ps_bytes){codec->inflated.bytes, produced};
    return code;
}
