#include "fanout.h"

#include "outbox.h"

static uint32_t tallies_behind(const ps_topic *topic, const struct ps_entry *entry) {
    return topic->newest.tally - entry->seen.tally;
}

static uint16_t states_behind(const ps_topic *topic, const struct ps_entry *entry) {
    return (uint16_t)(topic->newest.state - entry->seen.state);
}

static uint16_t viewers_behind(const ps_topic *topic, const struct ps_entry *entry) {
    return (uint16_t)(topic->newest.viewers - entry->seen.viewers);
}

/* ---- What is owed ---- */

size_t ps_fanout_owed(
    ps_topic *topic, uint32_t position, struct ps_due out[PS_LANE_COUNT]) {
    const struct ps_entry *entry = &topic->entries[position];
    bool owes_tally = topic->tally && tallies_behind(topic, entry) > 0;
    struct ps_due tally = {topic, topic->tally, position, PS_LANE_TALLY};
    size_t count = 0;
    if (owes_tally && !topic->tally_is_later) {
        out[count++] = tally;
    }
    uint16_t states = states_behind(topic, entry);
    if (states > 0) {
        ps_frame *state = states == 1 ? topic->transition : topic->snapshot;
        out[count++] = (struct ps_due){topic, state, position, PS_LANE_STATE};
    }
    if (owes_tally && topic->tally_is_later) {
        out[count++] = tally;
    }
    if (viewers_behind(topic, entry) > 0) {
        out[count++] = (struct ps_due){topic, topic->viewers, position, PS_LANE_VIEWERS};
    }
    for (size_t i = 0; i < count; i++) {
        out[i].frame = ps_frame_form(out[i].frame, entry->deflates);
    }
    return count;
}

/* Whether an entry that is behind may have its frames now. Where a sweep waits for its tick, the
 * sweep will serve it; where none is to come, the entry was left behind by the last one. */
static bool may_have(const ps_topic *topic, uint32_t position) {
    return states_behind(topic, &topic->entries[position]) > 0 || !topic->pending
        || (topic->sweeping && position >= topic->cursor);
}

static size_t add_due(ps_topic *topic, uint32_t position, struct ps_due *out) {
    bool behind = topic->entries[position].seen.all != topic->newest.all;
    return behind && may_have(topic, position) ? ps_fanout_owed(topic, position, out) : 0;
}

size_t ps_fanout_due(
    const ps_connection *connection, struct ps_due *out, size_t capacity, bool *more) {
    *more = false;
    if (connection->state != PS_STATE_OPEN) {
        return 0;
    }
    if (connection->subscription_count == 1) {
        return add_due(connection->topic, connection->position, out);
    }
    size_t count = 0;
    for (uint32_t i = 0; i < connection->subscription_count; i++) {
        if (capacity - count < PS_LANE_COUNT) {
            *more = true;
            break;
        }
        const struct ps_subscription *subscription = &connection->subscriptions[i];
        count += add_due(subscription->topic, subscription->position, out + count);
    }
    return count;
}

/* ---- What became of it ----
 *
 * An entry behind by n is owed n frames. One frame brings it up to date: one was sent and n - 1
 * were conflated. A superseded tally is conflated with the state that carries its replacement. */

static void settle_superseded(
    const ps_topic *topic, struct ps_entry *entry, struct ps_settled *settled) {
    if (!topic->tally) {
        settled->conflated += tallies_behind(topic, entry);
        entry->seen.tally = topic->newest.tally;
    }
}

static void settle_lane(
    const ps_topic *topic, struct ps_entry *entry, uint8_t lane, struct ps_settled *settled) {
    uint32_t behind = 0;
    switch ((enum ps_lane)lane) {
    case PS_LANE_TALLY:
        behind = tallies_behind(topic, entry);
        entry->seen.tally = topic->newest.tally;
        break;
    case PS_LANE_STATE:
        behind = states_behind(topic, entry);
        entry->seen.state = topic->newest.state;
        settle_superseded(topic, entry, settled);
        break;
    case PS_LANE_VIEWERS:
        behind = viewers_behind(topic, entry);
        entry->seen.viewers = topic->newest.viewers;
        break;
    case PS_LANE_COUNT:
        break;
    }
    settled->sent += 1;
    settled->conflated += behind - 1;
}

void ps_fanout_settle_all(
    const ps_topic *topic, struct ps_entry *entry, struct ps_settled *settled) {
    if (topic->tally && tallies_behind(topic, entry) > 0) {
        settle_lane(topic, entry, PS_LANE_TALLY, settled);
    }
    if (states_behind(topic, entry) > 0) {
        settle_lane(topic, entry, PS_LANE_STATE, settled);
    }
    if (viewers_behind(topic, entry) > 0) {
        settle_lane(topic, entry, PS_LANE_VIEWERS, settled);
    }
}

void ps_fanout_drop(
    const ps_topic *topic, struct ps_entry *entry, struct ps_settled *settled) {
    settle_superseded(topic, entry, settled);
    settled->dropped += tallies_behind(topic, entry) + (uint64_t)states_behind(topic, entry)
        + viewers_behind(topic, entry);
    entry->seen = topic->newest;
}

void ps_fanout_count(ps_loop *loop, const struct ps_settled *settled) {
    PS_COUNT(loop, frames_sent, settled->sent);
    PS_COUNT(loop, frames_conflated, settled->conflated);
    PS_COUNT(loop, frames_dropped, settled->dropped);
}

void ps_fanout_taken(
    ps_loop *loop, ps_connection *connection, const struct ps_due *due, size_t count,
    size_t bytes) {
    struct ps_settled settled = {0};
    for (size_t i = 0; i < count && bytes > 0; i++) {
        ps_topic *topic = due[i].topic;
        settle_lane(topic, &topic->entries[due[i].position], due[i].lane, &settled);
        if (bytes < due[i].frame->count) {
            ps_outbox_append_frame(loop, connection, due[i].frame, (uint32_t)bytes);
            break;
        }
        bytes -= due[i].frame->count;
    }
    ps_fanout_count(loop, &settled);
}
