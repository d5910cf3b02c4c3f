/* Votes at a scheduled rate while many watch: how long until each vote is on each screen? */
#ifndef LD_STORM_H
#define LD_STORM_H

#include "subscribers.h"
#include "voters.h"

/* From votes' intended times until viewers held them, all pairs: counts by duration, three digits. */
typedef struct ld_screen_times ld_screen_times;

/* Runs all until `until_ns` (ld_now_ns' clock) on the caller's thread; `passers`, who come and go,
 * may be NULL. Viewers are read before ballots are cast, so that what the client cannot keep up with
 * counts against the server.
 *
 * Returns: LD_OK; LD_INTERRUPTED; LD_LOST when a viewer or all voters are gone. */
int ld_storm_run(
    ld_subscribers *subscribers, ld_subscribers *passers, ld_voters *voters, uint64_t until_ns);

/* Pairs every logged answer with every viewer of its poll: the vote is on a screen when the viewer
 * holds a revision at or above its answer's. Viewer i watches poll i % `poll_count`, so there are
 * as many viewers of one as of the other.
 *
 * Ownership: `*out` is freed by ld_screen_times_free.
 * Returns: LD_OK or LD_FAILED. */
int ld_storm_match(
    ld_screen_times **out, const ld_arrival *arrivals, size_t arrival_count, size_t viewer_count,
    const ld_receipt *receipts, size_t receipt_count, size_t poll_count);
void ld_screen_times_free(ld_screen_times *times);

/* Pairs that never met. */
uint64_t ld_screen_times_missing(const ld_screen_times *times);

/* The next duration, in ascending order, with its count. `*cursor` is 0 at first. Returns false at
 * the end. */
bool ld_screen_times_next(
    const ld_screen_times *times, size_t *cursor, uint64_t *duration_ns, uint64_t *count);

#endif
