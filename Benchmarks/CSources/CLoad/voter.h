/* One connection of many that cast ballots, and all of them: what the files of voters share. */
#ifndef LD_VOTER_H
#define LD_VOTER_H

#include "handshake.h"
#include "peer.h"
#include "schedule.h"
#include "voters.h"

enum { LD_IN_FLIGHT_MAX = 4096, REASON_BYTES_MAX = 160 };

/* A place for one ballot in flight. Over WebSocket an answer names its place in `ref`; over HTTP
 * answers come in the order of the requests, and the places are a ring. */
typedef struct voter {
    ld_peer peer;
    uint64_t *intended_ns; /* by place; 0: free */
    uint32_t *polls;       /* by place */
    uint16_t *free_places; /* WebSocket: a stack of `place_count - in_flight` */
    uint8_t *outbox;       /* room for every ballot in flight, so it cannot overflow */
    size_t outbox_bytes;
    int in_flight;
    int oldest_place; /* HTTP */
    bool is_upgraded;
    bool is_blocked; /* the kernel took no more; wait for writable */
} voter;

struct ld_voters {
    ld_vote_plan plan;
    ld_schedule schedule; /* events_per_second 0: closed loop */
    bool is_casting;
    int epoll;
    int next_voter; /* open loop: whose turn it is */
    int upgraded_count;
    int in_flight;
    uint32_t mask;
    ld_vote_counts counts;
    ld_outcomes outcomes;
    voter *all;
    uint64_t *latencies_ns;
    int latency_count, latency_capacity;
    ld_receipt *receipts;
    size_t receipt_count, receipt_capacity;
    uint64_t lost_receipt_count;
    char host[LD_HOST_BYTES_MAX];
    char reason[REASON_BYTES_MAX];
    uint8_t buffer[LD_READ_BUFFER_BYTES];
};

/* Closed loop: fills the free places of one connection. */
void ld_voter_refill(ld_voters *v, voter *one);

/* Open loop: casts what is due, in turn; what finds no place waits with its intended time. */
void ld_voters_cast_due(ld_voters *v, uint64_t now_ns);

/* Goes on with one where epoll says so. */
void ld_voter_on_events(ld_voters *v, voter *one, uint32_t events);

#endif
