/* One state per place in the grammar of RFC 9112 §7.1; data is moved in runs, all else goes byte
 * by byte, so where a body is cut cannot matter.
 *
 *   SIZE_FIRST → SIZE → (EXTENSION …) → SIZE_LF → DATA → DATA_CR → DATA_LF → SIZE_FIRST
 *                                          └ size 0 → TRAILER_FIRST … → LAST_LF → OVER
 *
 * Stricter than the grammar in one place: no white space around the `;` and `=` of extensions. */

#include "http.h"

#include <string.h>

#include "characters.h"

enum {
    SIZE_FIRST, /* zero: where a body begins */
    SIZE,
    EXTENSION_NAME_FIRST,
    EXTENSION_NAME,
    EXTENSION_VALUE_FIRST,
    EXTENSION_VALUE,
    EXTENSION_QUOTED,
    EXTENSION_ESCAPED,
    EXTENSION_AFTER_QUOTED,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    OVER,
    BAD,
};

enum {
    SIZE_DIGITS_MAX = 16,
    EXTENSION_BYTES_MAX = 256,
    TRAILER_BYTES_MAX = 4096,
    OVERHEAD_BYTES_MAX = 65536,
    OVERHEAD_BYTES_FREE = 4096, /* below it, the ratio to the data is of no interest */
    OVERHEAD_PER_DATA_MAX = 16,
};

static uint8_t after_size_line_part(uint8_t byte, uint8_t otherwise) {
    return byte == '\r' ? SIZE_LF : byte == ';' ? EXTENSION_NAME_FIRST : otherwise;
}

static uint8_t after_size_digit(ps_http_chunks *chunks, uint8_t byte) {
    int digit = ps_hex_value(byte);
    if (digit < 0) {
        uint8_t next = chunks->state == SIZE ? after_size_line_part(byte, BAD) : BAD;
        chunks->line_bytes = 0; /* from here they count the extensions */
        return next;
    }
    if (chunks->state == SIZE_FIRST) {
        chunks->remaining = 0;
        chunks->line_bytes = 0;
    }
    chunks->remaining = chunks->remaining << 4 | (unsigned)digit;
    chunks->line_bytes++;
    bool fits = chunks->line_bytes <= SIZE_DIGITS_MAX && chunks->remaining <= INT64_MAX;
    return fits ? SIZE : BAD;
}

static uint8_t after_extension_byte(ps_http_chunks *chunks, uint8_t byte) {
    bool is_token = ps_character_is(byte, IS_TOKEN);
    bool is_value = ps_character_is(byte, IS_VALUE);
    if (byte != '\r' && ++chunks->line_bytes >= EXTENSION_BYTES_MAX) {
        return BAD;
    }
    switch (chunks->state) {
    case EXTENSION_NAME_FIRST:
        return is_token ? EXTENSION_NAME : BAD;
    case EXTENSION_NAME:
        return is_token      ? EXTENSION_NAME
            : byte == '=' ? EXTENSION_VALUE_FIRST
                          : after_size_line_part(byte, BAD);
    case EXTENSION_VALUE_FIRST:
        return byte == '"' ? EXTENSION_QUOTED : is_token ? EXTENSION_VALUE : BAD;
    case EXTENSION_VALUE:
        return after_size_line_part(byte, is_token ? EXTENSION_VALUE : BAD);
    case EXTENSION_QUOTED:
        return byte == '"' ? EXTENSION_AFTER_QUOTED
            : byte == '\\' ? EXTENSION_ESCAPED
            : is_value     ? EXTENSION_QUOTED
                           : BAD;
    case EXTENSION_ESCAPED:
        return is_value ? EXTENSION_QUOTED : BAD;
    default: /* EXTENSION_AFTER_QUOTED */
        return after_size_line_part(byte, BAD);
    }
}

static uint8_t after_trailer_byte(ps_http_chunks *chunks, uint8_t byte) {
    bool is_token = ps_character_is(byte, IS_TOKEN);
    if (++chunks->line_bytes > TRAILER_BYTES_MAX) {
        return BAD;
    }
    switch (chunks->state) {
    case TRAILER_FIRST:
        return byte == '\r' ? LAST_LF : is_token ? TRAILER_NAME : BAD;
    case TRAILER_NAME:
        return byte == ':' ? TRAILER_VALUE : is_token ? TRAILER_NAME : BAD;
    case TRAILER_VALUE:
        return byte == '\r' ? TRAILER_LF : ps_character_is(byte, IS_VALUE) ? TRAILER_VALUE : BAD;
    case TRAILER_LF:
        return byte == '\n' ? TRAILER_FIRST : BAD;
    default: /* LAST_LF */
        return byte == '\n' ? OVER : BAD;
    }
}

static uint8_t after_overhead_byte(ps_http_chunks *chunks, uint8_t byte) {
    switch (chunks->state) {
    case SIZE_FIRST:
    case SIZE:
        return after_size_digit(chunks, byte);
    case SIZE_LF:
        chunks->line_bytes = 0;
        return byte != '\n' ? BAD : chunks->remaining == 0 ? TRAILER_FIRST : DATA;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return byte == '\n' ? SIZE_FIRST : BAD;
    default:
        return chunks->state <= EXTENSION_AFTER_QUOTED ? after_extension_byte(chunks, byte)
                                                       : after_trailer_byte(chunks, byte);
    }
}

static bool overhead_is_bearable(const ps_http_chunks *chunks) {
    return chunks->overhead_bytes <= OVERHEAD_BYTES_FREE
        || (chunks->overhead_bytes <= OVERHEAD_BYTES_MAX
            && chunks->overhead_bytes <= OVERHEAD_PER_DATA_MAX * chunks->data_bytes);
}

int ps_http_chunks_decode(
    ps_http_chunks *chunks, uint8_t *bytes, size_t *count, size_t *decoded) {
    const uint8_t *cursor = bytes;
    const uint8_t *end = bytes + *count;
    uint8_t *out = bytes;
    while (cursor < end && chunks->state < OVER) {
        if (chunks->state == DATA) {
            size_t available = (size_t)(end - cursor);
            size_t run = available < chunks->remaining ? available : (size_t)chunks->remaining;
            memmove(out, cursor, run);
            out += run;
            cursor += run;
            chunks->data_bytes += run;
            chunks->remaining -= run;
            chunks->state = chunks->remaining == 0 ? DATA_CR : DATA;
        } else {
            chunks->state = after_overhead_byte(chunks, *cursor++);
            chunks->overhead_bytes++;
            if (!overhead_is_bearable(chunks)) {
                chunks->state = BAD;
            }
        }
    }
    *count = (size_t)(cursor - bytes);
    *decoded = (size_t)(out - bytes);
    return chunks->state == OVER ? PS_DONE : chunks->state == BAD ? PS_MALFORMED : PS_PARTIAL;
}
