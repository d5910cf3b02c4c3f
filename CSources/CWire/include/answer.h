#ifndef PS_ANSWER_H
#define PS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The three answers of a parser. */
enum ps_answer {
    PS_MALFORMED = -1, /* no continuation of these bytes can be valid */
    PS_PARTIAL = 0,    /* valid so far: call again with more */
    PS_DONE = 1,
};

/* Borrowed bytes: valid as long as the buffer they were parsed from. */
typedef struct ps_bytes {
    const uint8_t *start;
    size_t count;
} ps_bytes;

#endif
