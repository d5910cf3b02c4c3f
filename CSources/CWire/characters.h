/* Which bytes may stand where: the character classes of RFC 9110, 9112 and 3986 in one table. */
#ifndef PS_CHARACTERS_H
#define PS_CHARACTERS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    IS_TOKEN = 1,     /* tchar, RFC 9110 §5.6.2 */
    IS_HOST = 2,      /* reg-name without escapes, RFC 3986 §3.2.2 */
    IS_PATH = 4,      /* pchar and '/' without escapes, §3.3 */
    IS_QUERY = 8,     /* the same and '?', §3.4 */
    IS_VALUE = 16,    /* field-vchar, SP and HTAB, RFC 9110 §5.5 */
    IS_DIGIT = 32,
    IS_HEX = 64,
};

enum {
    IN_URI = IS_HOST | IS_PATH | IS_QUERY | IS_VALUE,
    IN_PATH = IS_PATH | IS_QUERY | IS_VALUE,
};

static const uint8_t ps_character_class[256] = {
    ['\t'] = IS_VALUE,
    [' '] = IS_VALUE,
    ['!'] = IN_URI | IS_TOKEN,
    ['"'] = IS_VALUE,
    ['#'] = IS_VALUE | IS_TOKEN,
    ['$'] = IN_URI | IS_TOKEN,
    ['%'] = IS_VALUE | IS_TOKEN,
    ['&'] = IN_URI | IS_TOKEN,
    ['\''] = IN_URI | IS_TOKEN,
    ['('] = IN_URI,
    [')'] = IN_URI,
    ['*'] = IN_URI | IS_TOKEN,
    ['+'] = IN_URI | IS_TOKEN,
    [','] = IN_URI,
    ['-'] = IN_URI | IS_TOKEN,
    ['.'] = IN_URI | IS_TOKEN,
    ['/'] = IN_PATH,
    ['0' ... '9'] = IN_URI | IS_TOKEN | IS_DIGIT | IS_HEX,
    [':'] = IN_PATH,
    [';'] = IN_URI,
    ['<'] = IS_VALUE,
    ['='] = IN_URI,
    ['>'] = IS_VALUE,
    ['?'] = IS_QUERY | IS_VALUE,
    ['@'] = IN_PATH,
    ['A' ... 'F'] = IN_URI | IS_TOKEN | IS_HEX,
    ['G' ... 'Z'] = IN_URI | IS_TOKEN,
    ['['] = IS_VALUE,
    ['\\'] = IS_VALUE,
    [']'] = IS_VALUE,
    ['^'] = IS_VALUE | IS_TOKEN,
    ['_'] = IN_URI | IS_TOKEN,
    ['`'] = IS_VALUE | IS_TOKEN,
    ['a' ... 'f'] = IN_URI | IS_TOKEN | IS_HEX,
    ['g' ... 'z'] = IN_URI | IS_TOKEN,
    ['{'] = IS_VALUE,
    ['|'] = IS_VALUE | IS_TOKEN,
    ['}'] = IS_VALUE,
    ['~'] = IN_URI | IS_TOKEN,
    [0x80 ... 0xff] = IS_VALUE, /* obs-text */
};

static inline bool ps_character_is(uint8_t character, unsigned class) {
    return (ps_character_class[character] & class) != 0;
}

static inline uint8_t ps_lower(uint8_t character) {
    return character >= 'A' && character <= 'Z' ? character | 0x20 : character;
}

/* The value of a hexadecimal digit, -1 for anything else. */
static inline int ps_hex_value(uint8_t character) {
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    character |= 0x20;
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

#endif
