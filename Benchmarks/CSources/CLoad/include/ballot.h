/* One ballot as the bytes that cast it, and what its answer says. Pure. */
#ifndef LD_BALLOT_H
#define LD_BALLOT_H

#include "frame.h"

enum {
    LD_BALLOT_BYTES_MAX = 384, /* encoded, HTTP head included */
    LD_OUTCOMES_MAX = 24,
    LD_OUTCOME_BYTES_MAX = 40,
};

typedef struct ld_ballot {
    uint64_t poll_id;
    uint64_t option_id;
    uint64_t voter; /* the voter's name is v<voter> */
} ld_ballot;

/* Writes a masked `vote` message whose `ref` is `place`. Returns its length. */
size_t ld_ballot_write_websocket(
    uint8_t out[LD_BALLOT_BYTES_MAX], const ld_ballot *ballot, int place, uint32_t mask);

/* Writes a `POST /votes/`. `host` has at most 24 characters. Returns its length. */
size_t ld_ballot_write_http(
    uint8_t out[LD_BALLOT_BYTES_MAX], const ld_ballot *ballot, const char *host);

typedef struct ld_outcome {
    char name[LD_OUTCOME_BYTES_MAX]; /* `counted`, `repeated`, `changed`, or an error's code */
    uint64_t count;
} ld_outcome;

typedef struct ld_outcomes {
    ld_outcome all[LD_OUTCOMES_MAX]; /* the last one gathers what finds no room */
    int count;
} ld_outcomes;

/* Counts an answer by its `status`, `repeated` apart, or by its error's `code`; one that has
 * neither counts as `otherwise`. */
void ld_outcomes_add(
    ld_outcomes *outcomes, const uint8_t *json, size_t count, const char *otherwise);

#endif
