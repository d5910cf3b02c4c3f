/* What a loop counts: written by the loop, read by anyone. */
#ifndef PS_STATISTICS_H
#define PS_STATISTICS_H

#include <stdint.h>

/* What somebody ran into. */
typedef enum ps_limit {
    PS_LIMIT_REQUEST_LINE = 0,
    PS_LIMIT_HEAD,
    PS_LIMIT_FIELDS,
    PS_LIMIT_BODY,
    PS_LIMIT_MESSAGE,
    PS_LIMIT_FRAGMENTS,
    PS_LIMIT_OUTBOX,
    PS_LIMIT_HEADER_TIMEOUT,
    PS_LIMIT_BODY_TIMEOUT,
    PS_LIMIT_IDLE_TIMEOUT,
    PS_LIMIT_CLOSE_TIMEOUT,
    PS_LIMIT_PROXY_TIMEOUT,
    PS_LIMIT_TLS_TIMEOUT,
    PS_LIMIT_PING_PERIOD, /* silent for two */
    PS_LIMIT_NOT_READING, /* for two ping periods */
    PS_LIMIT_CONNECTIONS, /* of the budget */
    PS_LIMIT_SPARE,       /* the same: an idle one was closed for who came */
    PS_LIMIT_DESCRIPTORS, /* or memory for sockets, of the system */
    PS_LIMIT_BUFFERS,     /* of the budget; what it cost is in `shed` */
    PS_LIMIT_COUNT
} ps_limit;

/* What was turned away because buffers were short of memory. */
typedef enum ps_shed {
    PS_SHED_REQUESTS = 0, /* 503 */
    PS_SHED_MESSAGES,     /* close 1013 */
    PS_SHED_CONNECTIONS,  /* 503 before anything was read, over TLS a close */
    PS_SHED_READERS,      /* who did not take what it was owed: reset, or close 1008 */
    PS_SHED_COUNT
} ps_shed;

enum { PS_DURATION_BUCKETS = 18 };

/* How often a duration fell between the bounds. */
typedef struct ps_durations {
    uint64_t buckets[PS_DURATION_BUCKETS]; /* the last: above all bounds */
    uint64_t ns_total;
} ps_durations;

/* Upper bounds of all buckets but the last, ascending: 50 us to 10 s. */
extern const uint64_t ps_duration_bounds_ns[PS_DURATION_BUCKETS - 1];

/* Numbers of 64 bits only: they are counted and copied as one array. */
typedef struct ps_statistics {
    uint64_t accepted, refused, closed;      /* connections */
    uint64_t http_connections, websocket_connections, stream_connections; /* now */
    uint64_t closing_connections[3];         /* now: of those, past being open; by kind */
    uint64_t blocked_connections;            /* now: the kernel takes no more for them */
    uint64_t requests, handshakes, messages;
    uint64_t responses[6];                   /* by the first digit of their status */
    uint64_t limits[PS_LIMIT_COUNT];
    uint64_t shed[PS_SHED_COUNT];
    uint64_t malformed_requests, protocol_closes;
    uint64_t frames_owed;      /* published × subscribers at that moment, all lanes */
    uint64_t frames_sent;      /* handed to the kernel whole, or as an unfinished frame */
    uint64_t frames_conflated; /* replaced by a newer one before they were sent */
    uint64_t frames_dropped;   /* owed to connections that went away, or left the topic */
    uint64_t bytes_received, bytes_sent;
    uint64_t sends, sends_blocked;
    uint64_t sweeps, sweep_ns_max;
    ps_durations sweep_durations; /* first subscriber to last */
    ps_durations tick_stretches;  /* how much later than due a sweep began */
    ps_durations vote_to_frame;   /* a ballot's arrival to the end of the sweep that shows it */
    uint64_t subscriptions;    /* now */
    uint64_t deflating_connections; /* now: with permessage-deflate */
    uint64_t messages_deflated, bytes_before_deflate, bytes_after_deflate;
    uint64_t messages_inflated;
    uint64_t tls_connections;  /* now: that have begun a handshake */
    uint64_t tls_handshakes, tls_resumptions; /* done; of those, with a session ticket */
    uint64_t tls_failures;     /* handshakes and records that broke TLS, or that it does not allow */
    uint64_t turn_ns_max;      /* longest turn since the start */
    ps_durations turns;
    ps_durations lags;         /* how late on_tick came */
} ps_statistics;

#endif
