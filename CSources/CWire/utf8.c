#include "utf8.h"

#include "words.h"

/* What the next byte must be, after RFC 3629 §4. */
enum {
    BETWEEN,        /* a character may begin */
    ONE_MORE,
    TWO_MORE,
    THREE_MORE,
    NOT_OVERLONG_3, /* after E0 */
    NO_SURROGATE,   /* after ED */
    NOT_OVERLONG_4, /* after F0 */
    IN_RANGE,       /* after F4 */
    SPENT,
};

static const uint8_t state_after_first[256] = {
    [0x00 ... 0x7f] = BETWEEN,  [0x80 ... 0xc1] = SPENT,      [0xc2 ... 0xdf] = ONE_MORE,
    [0xe0] = NOT_OVERLONG_3,    [0xe1 ... 0xec] = TWO_MORE,   [0xed] = NO_SURROGATE,
    [0xee ... 0xef] = TWO_MORE, [0xf0] = NOT_OVERLONG_4,      [0xf1 ... 0xf3] = THREE_MORE,
    [0xf4] = IN_RANGE,          [0xf5 ... 0xff] = SPENT,
};

static const struct {
    uint8_t lowest;
    uint8_t highest;
    uint8_t next;
} continuation[] = {
    [ONE_MORE] = {0x80, 0xbf, BETWEEN},
    [TWO_MORE] = {0x80, 0xbf, ONE_MORE},
    [THREE_MORE] = {0x80, 0xbf, TWO_MORE},
    [NOT_OVERLONG_3] = {0xa0, 0xbf, ONE_MORE},
    [NO_SURROGATE] = {0x80, 0x9f, ONE_MORE},
    [NOT_OVERLONG_4] = {0x90, 0xbf, TWO_MORE},
    [IN_RANGE] = {0x80, 0x8f, TWO_MORE},
    [SPENT] = {0xff, 0x00, SPENT}, /* nothing fits */
};

static const uint8_t *skip_ascii(const uint8_t *cursor, const uint8_t *end) {
    while (end - cursor >= 8 && (ps_word_load(cursor) & ps_word_repeat(0x80)) == 0) {
        cursor += 8;
    }
    while (cursor < end && *cursor < 0x80) {
        cursor++;
    }
    return cursor;
}

bool ps_utf8_feed(ps_utf8 *utf8, const uint8_t *bytes, size_t count) {
    const uint8_t *cursor = bytes;
    const uint8_t *end = bytes + count;
    uint8_t state = utf8->state;
    while (cursor < end) {
        if (state == BETWEEN) {
            cursor = skip_ascii(cursor, end);
            if (cursor == end) {
                break;
            }
            state = state_after_first[*cursor++];
        } else if (*cursor >= continuation[state].lowest
                   && *cursor <= continuation[state].highest) {
            state = continuation[state].next;
            cursor++;
        } else {
            state = SPENT;
        }
        if (state == SPENT) {
            break;
        }
    }
    utf8->state = state;
    return state != SPENT;
}

bool ps_utf8_valid(const uint8_t *bytes, size_t count) {
    ps_utf8 utf8 = {0};
    return ps_utf8_feed(&utf8, bytes, count) && ps_utf8_ends(&utf8);
}
