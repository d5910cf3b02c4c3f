/* The values of a validated text. */

#include "json_text.h"

#include <string.h>

#include "characters.h"

static unsigned hex_unit(const uint8_t *digits) {
    unsigned unit = 0;
    for (int i = 0; i < 4; i++) {
        unit = unit << 4 | (unsigned)ps_hex_value(digits[i]);
    }
    return unit;
}

static size_t write_utf8(uint8_t out[4], uint32_t scalar) {
    if (scalar < 0x80) {
        out[0] = (uint8_t)scalar;
        return 1;
    }
    size_t more = scalar < 0x800 ? 1 : scalar < 0x10000 ? 2 : 3;
    static const uint8_t first_bits[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (uint8_t)(first_bits[more] | scalar >> (6 * more));
    for (size_t i = 1; i <= more; i++) {
        out[i] = (uint8_t)(0x80 | (scalar >> (6 * (more - i)) & 0x3f));
    }
    return 1 + more;
}

size_t ps_json_take_unit(uint8_t out[4], const uint8_t **cursor) {
    const uint8_t *at = *cursor;
    if (*at != '\\') {
        out[0] = *at;
        *cursor = at + 1;
        return 1;
    }
    if (at[1] == 'u') {
        uint32_t scalar = hex_unit(at + 2);
        *cursor = at + 6;
        if (scalar >= 0xd800 && scalar <= 0xdbff) {
            scalar = 0x10000 + ((scalar - 0xd800) << 10) + (hex_unit(at + 8) - 0xdc00);
            *cursor = at + 12;
        }
        return write_utf8(out, scalar);
    }
    *cursor = at + 2;
    switch (at[1]) {
    case 'b':
        out[0] = '\b';
        return 1;
    case 'f':
        out[0] = '\f';
        return 1;
    case 'n':
        out[0] = '\n';
        return 1;
    case 'r':
        out[0] = '\r';
        return 1;
    case 't':
        out[0] = '\t';
        return 1;
    default: /* itself: the quote, the backslash, the slash */
        out[0] = at[1];
        return 1;
    }
}

size_t ps_json_unescape(uint8_t *out, const ps_json_value *value, const uint8_t *text) {
    const uint8_t *cursor = text + value->start;
    const uint8_t *end = cursor + value->count;
    uint8_t *start = out;
    while (cursor < end) {
        uint8_t unit[4];
        size_t count = ps_json_take_unit(unit, &cursor);
        memcpy(out, unit, count); /* never longer than its escape */
        out += count;
    }
    return (size_t)(out - start);
}

bool ps_json_string_is(
    const ps_json_value *value, const uint8_t *text, const char *name, size_t name_count) {
    const uint8_t *cursor = text + value->start;
    if (!value->escaped) {
        return value->count == name_count && memcmp(cursor, name, name_count) == 0;
    }
    const uint8_t *end = cursor + value->count;
    size_t position = 0;
    while (cursor < end) {
        uint8_t unit[4];
        size_t count = ps_json_take_unit(unit, &cursor);
        if (name_count - position < count || memcmp(name + position, unit, count) != 0) {
            return false;
        }
        position += count;
    }
    return position == name_count;
}

int ps_json_int64(int64_t *out, const ps_json_value *value, const uint8_t *text) {
    const uint8_t *cursor = text + value->start;
    const uint8_t *end = cursor + value->count;
    if (value->kind != PS_JSON_NUMBER) {
        return -1;
    }
    bool is_negative = *cursor == '-';
    cursor += is_negative;
    if (is_negative && *cursor == '0') {
        return -1;
    }
    bool fits = true;
    uint64_t largest = (uint64_t)INT64_MAX + is_negative;
    uint64_t magnitude = 0;
    for (; cursor < end; cursor++) {
        if (!ps_character_is(*cursor, IS_DIGIT)) {
            return -1;
        }
        unsigned digit = *cursor - '0';
        fits = fits && magnitude <= (largest - digit) / 10;
        magnitude = fits ? magnitude * 10 + digit : 0;
    }
    if (!fits) {
        return -2;
    }
    *out = (int64_t)(is_negative ? 0 - magnitude : magnitude);
    return 0;
}
