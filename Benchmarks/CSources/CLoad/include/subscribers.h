/* Many WebSockets that watch one poll each, or several, and one HTTP connection that changes it.
 *
 * Everything here runs on the caller's thread and returns when its condition is met, its time is
 * up, or Ctrl-C came. Between calls nothing is read: keep calls close together, or call `_rest`. */
#ifndef LD_SUBSCRIBERS_H
#define LD_SUBSCRIBERS_H

#include "frame.h"
#include "target.h"

typedef struct ld_subscribers ld_subscribers;

/* How the sockets came up. */
typedef struct ld_opening {
    uint64_t started_ns;     /* the first connect() */
    uint64_t finished_ns;    /* the last snapshot had arrived */
    uint64_t snapshot_bytes; /* the last snapshot's frame, with its header */
    int ready_count;
} ld_opening;

/* One change and its way to every subscriber. */
typedef struct ld_round {
    uint64_t started_ns;      /* the request was handed to the kernel */
    uint64_t last_ns;         /* the last subscriber had the bytes; 0 when none was awaited */
    uint64_t frame_count;     /* tallies and snapshots received meanwhile */
    uint64_t frame_bytes;     /* theirs, with headers */
    uint64_t other_count;     /* everything else, `viewers` for instance */
    uint64_t revision;        /* in the answer to the request */
    int reached_count;        /* subscribers that hold a newer revision than before */
    int mismatch_count;       /* of these, those whose revision is not the answer's */
    int status;               /* of the answer, 0 when there was none */
} ld_round;

/* A newer revision on a viewer's screen. */
typedef struct ld_arrival {
    uint64_t ns;
    uint64_t revision;
    uint32_t viewer; /* where each watches several polls: viewer × polls each + the poll's place */
} ld_arrival;

/* One who was sent away, or lost, and came back. */
typedef struct ld_return {
    uint64_t lost_ns;
    uint64_t back_ns; /* with a snapshot */
} ld_return;

/* How a schedule of leaving and joining went. */
typedef struct ld_churn {
    uint64_t due_count;
    uint64_t left_count;
    uint64_t joined_count; /* of those, back with a snapshot */
} ld_churn;

/* Prepares `count` subscribers of `path`; nothing is connected yet.
 * Ownership: copies `path`; `*out` is destroyed by ld_subscribers_destroy.
 * Returns: LD_OK or LD_FAILED. */
int ld_subscribers_create(
    ld_subscribers **out, const ld_target *target, const char *path, int count);
void ld_subscribers_destroy(ld_subscribers *subscribers);

/* Before they open: each watches `each` polls of `poll_ids`, which ascend; subscriber i those at
 * i × each and on, in a ring. `each` divides `poll_count`. They are ready with the last snapshot.
 * Returns: LD_OK or LD_FAILED. */
int ld_subscribers_follow(
    ld_subscribers *subscribers, const uint64_t *poll_ids, int poll_count, int each);

/* Before they open: the server is another's. Each sends `message` (NULL: nothing) once it is up and
 * is then ready; every text or binary frame that holds `"revision":` and a number is a change.
 * Returns: LD_OK or LD_FAILED. */
int ld_subscribers_say(ld_subscribers *subscribers, const char *message, size_t message_bytes);

/* Connects all of them, at most `concurrency` under way at a time, until each has its snapshot.
 * Latencies: from a socket's connect() to its snapshot.
 * Returns: LD_OK, LD_TIMEOUT, LD_INTERRUPTED, LD_LOST or LD_FAILED; `*out` is filled in any case. */
int ld_subscribers_open(
    ld_subscribers *subscribers, int concurrency, uint64_t timeout_ns, ld_opening *out);

/* Sends `request` (whole HTTP/1.1, to be answered with a `"revision"`) and runs until it is
 * answered and, if `awaits_frames`, every subscriber holds a newer revision than before.
 * Latencies: from the sending of the request to each subscriber's frame.
 * Returns: as above; LD_LOST as soon as any subscriber is closed. */
int ld_subscribers_round(
    ld_subscribers *subscribers, const char *request, size_t request_bytes, bool awaits_frames,
    uint64_t timeout_ns, ld_round *out);

/* As a round whose change somebody else makes at `started_ns`, and whose revision is not known. */
int ld_subscribers_await(
    ld_subscribers *subscribers, uint64_t started_ns, uint64_t timeout_ns, ld_round *out);

/* Reads and answers pings for that long. `*frame_count` becomes what came in, pings included.
 * Returns: LD_OK, LD_INTERRUPTED or LD_LOST. */
int ld_subscribers_rest(ld_subscribers *subscribers, uint64_t rest_ns, uint64_t *frame_count);

/* For loads that wait for several things: readable when a subscriber is; then poll, which handles
 * what there is and does not wait. `*next_ns` becomes when the next one leaves.
 * Returns: LD_OK, or LD_LOST as soon as any subscriber is closed. */
int ld_subscribers_descriptor(const ld_subscribers *subscribers);
int ld_subscribers_poll(ld_subscribers *subscribers, uint64_t *next_ns);

/* From here on poll makes that many subscribers a second leave, in turn, and join again at once.
 * Latencies: from connect() to the snapshot, up to `capacity` of them. A rate of 0 ends it.
 * Returns: LD_OK or LD_FAILED. */
int ld_subscribers_begin_churn(ld_subscribers *subscribers, uint64_t per_second, size_t capacity);
ld_churn ld_subscribers_churn(const ld_subscribers *subscribers);

/* From here on whoever is closed comes back: at once, after a failure later and later, 50 to 1,600 ms
 * and as much by chance. Up to `capacity` returns are logged. A viewer whose revision falls by it ends
 * the run. Returns: LD_OK or LD_FAILED. */
int ld_subscribers_persist(ld_subscribers *subscribers, size_t capacity);
const ld_return *ld_subscribers_returns(const ld_subscribers *subscribers, size_t *count);

/* From here on up to `capacity` arrivals are logged, in the order of time; what finds no room is
 * counted. Returns: LD_OK or LD_FAILED. */
int ld_subscribers_log(ld_subscribers *subscribers, size_t capacity);
const ld_arrival *ld_subscribers_arrivals(
    const ld_subscribers *subscribers, size_t *count, uint64_t *lost_count);

/* How many subscribers hold `revision` or a newer one. */
int ld_subscribers_holding(const ld_subscribers *subscribers, uint64_t revision);

/* Nanoseconds, one per arrival, of the last opening or round; borrowed until the next call. */
const uint64_t *ld_subscribers_latencies(const ld_subscribers *subscribers, int *count);

/* Why the last call failed, or an empty text; borrowed until the next call. */
const char *ld_subscribers_reason(const ld_subscribers *subscribers);

#endif
