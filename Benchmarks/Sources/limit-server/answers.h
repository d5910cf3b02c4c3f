/* The bytes of the limit server's answers: prepared once, patched in place. No sockets. */
#ifndef LIMIT_ANSWERS_H
#define LIMIT_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TALLY_BYTES_MIN = 80,
    FRAME_BYTES_MAX = 16 * 1024,
    ANSWER_BYTES_MAX = FRAME_BYTES_MAX + 1024,
};

typedef struct answers {
    uint8_t tally[FRAME_BYTES_MAX]; /* a whole frame, at the newest revision */
    uint8_t snapshot[FRAME_BYTES_MAX];
    size_t tally_bytes;
    size_t snapshot_bytes;
    char *tally_digits; /* where each frame keeps its revision */
    char *snapshot_digits;
    uint64_t revision; /* always 13 digits */
    uint64_t poll_count;
    uint64_t vote_count;
} answers;

/* What the caller does before it sends the answer. */
typedef enum request {
    REQUEST_REFUSED,    /* close instead */
    REQUEST_SUBSCRIBES, /* add the socket */
    REQUEST_CHANGES,    /* fan out `tally` */
    REQUEST_OTHER,      /* nothing */
} request;

/* Builds the frames. Returns false where a size is out of bounds. */
bool answers_prepare(answers *a, int tally_bytes, int snapshot_bytes);

/* Reads one whole request, NUL-terminated, and writes its answer into `out`. */
request answers_for(
    answers *a, const char *text, char out[ANSWER_BYTES_MAX], size_t *out_bytes);

#endif
