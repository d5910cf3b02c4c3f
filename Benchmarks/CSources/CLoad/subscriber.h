/* One WebSocket of many that watch, and all of them: what the files of subscribers share. */
#ifndef LD_SUBSCRIBER_H
#define LD_SUBSCRIBER_H

#include "handshake.h"
#include "peer.h"
#include "schedule.h"
#include "subscribers.h"

/*  CONNECTING ──writable──▶ UPGRADING ──101──▶ WAITING ──snapshot──▶ READY
 *       └──────────────────────┴────────────────┴── end of file, Close, nonsense ──▶ CLOSED */
enum stage { UNBORN, CONNECTING, UPGRADING, WAITING, READY, CLOSED };

enum { REASON_BYTES_MAX = 160 };

/* epoll's data for the connection that carries the changes; subscribers have their index. */
#define LD_CONTROL UINT64_MAX

typedef struct subscriber {
    ld_peer peer;
    uint64_t revision; /* the newest it holds */
    uint64_t begun_ns; /* its connect() */
    uint32_t round;    /* the last round that reached it */
    int snapshot_count;
    uint64_t lost_ns;  /* who is to come back: since when; else 0 */
    uint64_t retry_ns; /* when to try */
    uint8_t failure_count;
    uint8_t stage;     /* enum stage */
} subscriber;

struct ld_subscribers {
    ld_target target;
    int epoll;
    int count;
    int begun_count;  /* connect() called */
    int ready_count;
    int closed_count;
    subscriber *all;

    /* Where each watches several polls. */
    uint64_t *poll_ids;  /* ascending; NULL: one poll, by the path */
    uint64_t *revisions; /* `polls_each` of each subscriber: the newest it holds */
    int poll_count, polls_each;

    bool is_foreign; /* the server is another's */
    char *message;   /* what each says first; NULL: nothing */
    size_t message_bytes;

    ld_schedule churn_schedule; /* events_per_second 0: nobody leaves */
    ld_churn churn;
    int next_leaving;

    ld_return *returns; /* NULL: nobody comes back */
    size_t return_count, return_capacity;
    uint64_t next_retry_ns; /* the first of all; UINT64_MAX: nobody is away */
    uint64_t random;

    ld_peer control;
    bool answered;
    uint32_t round_number;
    ld_round *round; /* the one under way */
    uint64_t round_low, round_high; /* revisions seen in it */
    uint64_t snapshot_bytes;
    uint64_t frame_count; /* everything since the call began */

    ld_arrival *arrivals;
    size_t arrival_count, arrival_capacity;
    uint64_t lost_arrival_count;

    uint64_t *latencies_ns;
    int latency_count, latency_capacity;
    int failure;
    char reason[REASON_BYTES_MAX];
    char handshake[LD_HANDSHAKE_BYTES_MAX];
    int handshake_bytes;
    uint8_t buffer[LD_READ_BUFFER_BYTES];
};

/* Notes why the run fails; the first reason stays. */
void ld_subscribers_fail(ld_subscribers *s, int failure, const char *reason);

/* Calls connect(). */
void ld_subscriber_begin(ld_subscribers *s, int index);

/* Goes on with one where epoll says so. */
void ld_subscriber_on_events(ld_subscribers *s, subscriber *one, uint32_t events);

#endif
