#include "json.h"

#include <stdbool.h>
#include <string.h>

static size_t write_unicode_escape(uint8_t *out, unsigned unit) {
    static const char digits[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'u';
    for (int i = 0; i < 4; i++) {
        out[2 + i] = (uint8_t)digits[unit >> (12 - 4 * i) & 15];
    }
    return 6;
}

static size_t write_escape(uint8_t *out, uint8_t byte) {
    static const char short_escapes[][2] = {
        {'"', '"'},  {'\\', '\\'}, {'/', '/'},  {'\b', 'b'},
        {'\f', 'f'}, {'\n', 'n'},  {'\r', 'r'}, {'\t', 't'},
    };
    for (size_t i = 0; i < sizeof short_escapes / sizeof *short_escapes; i++) {
        if (byte == (uint8_t)short_escapes[i][0]) {
            out[0] = '\\';
            out[1] = (uint8_t)short_escapes[i][1];
            return 2;
        }
    }
    return write_unicode_escape(out, byte);
}

size_t ps_json_write_string(uint8_t *out, const uint8_t *text, size_t count) {
    static const uint8_t is_special[256] = {
        [0x00 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, ['/'] = 1, [0xe2] = 1,
    };
    const uint8_t *cursor = text;
    const uint8_t *end = text + count;
    uint8_t *start = out;
    *out++ = '"';
    while (cursor < end) {
        uint8_t byte = *cursor;
        if (!is_special[byte]) {
            *out++ = byte;
            cursor++;
        } else if (byte == 0xe2) {
            /* U+2028 and U+2029 are E2 80 A8 and E2 80 A9. */
            bool ends_line = end - cursor >= 3 && cursor[1] == 0x80 && (cursor[2] | 1) == 0xa9;
            if (ends_line) {
                out += write_unicode_escape(out, cursor[2] == 0xa8 ? 0x2028 : 0x2029);
                cursor += 3;
            } else {
                *out++ = byte;
                cursor++;
            }
        } else if (byte == '/' && (cursor == text || cursor[-1] != '<')) {
            *out++ = byte;
            cursor++;
        } else {
            out += write_escape(out, byte);
            cursor++;
        }
    }
    *out++ = '"';
    return (size_t)(out - start);
}

size_t ps_json_write_int64(uint8_t *out, int64_t value) {
    uint8_t digits[20];
    size_t first = sizeof digits;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--first] = (uint8_t)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (value < 0) {
        digits[--first] = '-';
    }
    memcpy(out, digits + first, sizeof digits - first);
    return sizeof digits - first;
}
