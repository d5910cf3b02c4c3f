/* UTF-8 (RFC 3629) in any number of pieces: no overlong forms, no surrogates, up to U+10FFFF. */
#ifndef PS_UTF8_H
#define PS_UTF8_H

#include "answer.h"

/* Zero-initialised at the start of a text. */
typedef struct ps_utf8 {
    uint8_t state; /* 0: between characters */
} ps_utf8;

/* False as soon as no continuation can be valid; then the state is spent. */
bool ps_utf8_feed(ps_utf8 *utf8, const uint8_t *bytes, size_t count);

/* Whether the text may end here. */
static inline bool ps_utf8_ends(const ps_utf8 *utf8) {
    return utf8->state == 0;
}

/* A whole text at once. */
bool ps_utf8_valid(const uint8_t *bytes, size_t count);

#endif
