/* What a subscriber is owed, frame by frame. */
#ifndef PS_FANOUT_H
#define PS_FANOUT_H

#include "connection.h"

enum ps_lane { PS_LANE_TALLY, PS_LANE_STATE, PS_LANE_VIEWERS, PS_LANE_COUNT };

struct ps_due {
    ps_topic *topic;
    ps_frame *frame;
    uint32_t position; /* of the entry that is behind */
    uint8_t lane;      /* ps_lane */
};

/* The frames that would bring one entry up to date, in the order in which they leave.
 * Returns how many. */
size_t ps_fanout_owed(
    ps_topic *topic, uint32_t position, struct ps_due out[PS_LANE_COUNT]);

/* The frames a connection is owed by all its topics and may have in this turn. Returns how many;
 * `*more` where there was no room for all. */
size_t ps_fanout_due(
    const ps_connection *connection, struct ps_due *out, size_t capacity, bool *more);

/* The kernel took the first `bytes` of these frames. One that it took in part moves to the
 * outbox; those it did not touch stay owed. */
void ps_fanout_taken(
    ps_loop *loop, ps_connection *connection, const struct ps_due *due, size_t count,
    size_t bytes);

/* The entry has seen all there is. */
void ps_fanout_settle_all(
    const ps_topic *topic, struct ps_entry *entry, struct ps_settled *settled);

/* The entry goes away. */
void ps_fanout_drop(const ps_topic *topic, struct ps_entry *entry, struct ps_settled *settled);

void ps_fanout_count(ps_loop *loop, const struct ps_settled *settled);

#endif
