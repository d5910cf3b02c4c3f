/* Connections that cast ballots, as fast as answers come or at a scheduled rate, and count the
 * answers by what they say. Over WebSocket or pipelined HTTP. Runs on the caller's thread. */
#ifndef LD_VOTERS_H
#define LD_VOTERS_H

#include "ballot.h"
#include "target.h"

typedef struct ld_voters ld_voters;

typedef struct ld_vote_plan {
    ld_target target;
    int connection_count;
    int in_flight_count; /* ballots of one connection that wait for their answer, at most 4096 */
    bool over_http;      /* POST /votes/, pipelined; else one WebSocket on /ws/ each */
    const uint64_t *poll_ids;   /* taken in turn; copied, as are the next */
    const uint64_t *option_ids; /* option_count of each poll, taken in turn */
    int poll_count;
    int option_count;
    uint64_t first_voter; /* ballot i is cast by the voter named v<first_voter + i> */
} ld_vote_plan;

/* A ballot that was answered with a revision. */
typedef struct ld_receipt {
    uint64_t intended_ns;
    uint64_t answered_ns;
    uint64_t revision;
    uint32_t poll; /* its place in the plan */
} ld_receipt;

typedef struct ld_vote_counts {
    uint64_t due_count;    /* scheduled so far; in a closed loop, those cast */
    uint64_t cast_count;   /* handed to a connection */
    uint64_t answer_count;
    uint64_t stray_count;  /* answers to nothing: a fault of the server */
    int lost_count;        /* connections */
} ld_vote_counts;

/* Connects and, over WebSocket, completes the handshakes.
 * Ownership: `*out` is destroyed by ld_voters_destroy.
 * Returns: LD_OK, LD_TIMEOUT, LD_INTERRUPTED, LD_LOST or LD_FAILED. On anything but LD_OK `*out` may
 * still be set, for its reason. */
int ld_voters_create(ld_voters **out, const ld_vote_plan *plan, uint64_t timeout_ns);
void ld_voters_destroy(ld_voters *voters);

/* Casting begins at the next run. `votes_per_second` above zero: an open loop on that schedule;
 * zero: a closed loop, each answer frees the place for the next ballot. */
void ld_voters_start(ld_voters *voters, uint64_t votes_per_second);

/* Casts no more. The next run ends when all answers are in. */
void ld_voters_stop(ld_voters *voters);

/* Casts and reads until `until_ns` (ld_now_ns' clock).
 *
 * Latencies: from the intended time (open loop) or the casting (closed loop) to the answer.
 * Returns: LD_OK; LD_FULL, call again with the same time after taking the latencies; after
 * ld_voters_stop LD_TIMEOUT where answers are missing at `until_ns`; LD_INTERRUPTED; LD_LOST when no
 * connection is left. */
int ld_voters_run(ld_voters *voters, uint64_t until_ns);

/* For loads that wait for several things: readable when a voter is; then poll, which casts what is
 * due, handles what there is, and does not wait. `*next_ns` becomes when the next ballot is due.
 * Returns: LD_OK, or LD_LOST when no connection is left. */
int ld_voters_descriptor(const ld_voters *voters);
int ld_voters_poll(ld_voters *voters, uint64_t *next_ns);

/* From here on up to `capacity` answers that carry a revision are logged; what finds no room is
 * counted. Returns: LD_OK or LD_FAILED. */
int ld_voters_log(ld_voters *voters, size_t capacity);
const ld_receipt *ld_voters_receipts(
    const ld_voters *voters, size_t *count, uint64_t *lost_count);

/* Nanoseconds, one per answer, since the last run began; borrowed until the next run. */
const uint64_t *ld_voters_latencies(const ld_voters *voters, int *count);

ld_vote_counts ld_voters_counts(const ld_voters *voters);

/* Answers by what they say; borrowed, they grow with the next run. */
const ld_outcomes *ld_voters_outcomes(const ld_voters *voters);

/* Why the last call failed, or an empty text; borrowed. */
const char *ld_voters_reason(const ld_voters *voters);

#endif
