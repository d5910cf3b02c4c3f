/* Topics: who is attached, and what is published.
 *
 *   entries   ┌────┬──────┬─────────────────────┐      newest  {tally 9, state 2, viewers 4}
 *        [0]  │ fd │ slot │ seen  9   2   4     │ up to date
 *        [1]  │ fd │ slot │ seen  9   2   4     │ up to date
 *   cursor ►  ├────┼──────┼─────────────────────┤
 *        [2]  │ fd │ slot │ seen  8   2   4     │ gets tally 9 next
 *        [3]  │ fd │ slot │ seen  5   1   4     │ blocked: left behind until it is writable,
 *             └────┴──────┴─────────────────────┘ then gets the newest; being behind is the mark
 *
 * A connection knows its position in each of its topics; the last entry moves into a hole. */
#include "topic.h"

#include <stdlib.h>

#include "fanout.h"
#include "outbox.h"
#include "sweep.h"

enum { ENTRIES_MIN = 8 };

ps_topic *ps_topic_create(ps_loop *loop) {
    PS_ASSERT_THREAD(loop);
    ps_topic *topic = calloc(1, sizeof *topic);
    if (topic) {
        topic->loop = loop;
    }
    return topic;
}

static void set_capacity(ps_topic *topic, uint32_t capacity) {
    struct ps_entry *entries = realloc(topic->entries, capacity * sizeof *entries);
    if (entries) { /* else it keeps what it has */
        topic->entries = entries;
        topic->capacity = capacity;
    }
}

/* By a quarter: the slack is part of what a subscriber costs. */
static bool reserve_entry(ps_topic *topic) {
    if (topic->count == topic->capacity) {
        set_capacity(topic, topic->capacity + topic->capacity / 4 + ENTRIES_MIN);
    }
    return topic->count < topic->capacity;
}

static void give_back(ps_topic *topic) {
    if (topic->capacity > 8 * ENTRIES_MIN && topic->count < topic->capacity / 2) {
        set_capacity(topic, topic->count + topic->count / 4 + ENTRIES_MIN);
    }
}

/* ---- A connection's subscriptions: one in place, several in an array ---- */

static bool find_position(
    const ps_connection *connection, const ps_topic *topic, uint32_t *position) {
    if (connection->subscription_count == 1) {
        *position = connection->position;
        return connection->topic == topic;
    }
    for (uint32_t i = 0; i < connection->subscription_count; i++) {
        if (connection->subscriptions[i].topic == topic) {
            *position = connection->subscriptions[i].position;
            return true;
        }
    }
    return false;
}

static void set_position(ps_connection *connection, const ps_topic *topic, uint32_t position) {
    if (connection->subscription_count == 1) {
        connection->position = position;
        return;
    }
    for (uint32_t i = 0; i < connection->subscription_count; i++) {
        if (connection->subscriptions[i].topic == topic) {
            connection->subscriptions[i].position = position;
            return;
        }
    }
}

static bool add_subscription(ps_connection *connection, ps_topic *topic, uint32_t position) {
    uint32_t count = connection->subscription_count;
    if (count == 0) {
        connection->topic = topic;
        connection->position = position;
    } else if (count == 1 || count == connection->subscription_capacity) {
        enum { FIRST = 4 };
        uint32_t capacity = count == 1 ? FIRST : count * 2;
        struct ps_subscription *many =
            realloc(count == 1 ? NULL : connection->subscriptions, capacity * sizeof *many);
        if (!many) {
            return false;
        }
        if (count == 1) {
            many[0] = (struct ps_subscription){connection->topic, connection->position};
        }
        many[count] = (struct ps_subscription){topic, position};
        connection->subscriptions = many;
        connection->subscription_capacity = capacity;
    } else {
        connection->subscriptions[count] = (struct ps_subscription){topic, position};
    }
    connection->subscription_count++;
    return true;
}

static void remove_subscription(ps_connection *connection, const ps_topic *topic) {
    uint32_t last = --connection->subscription_count;
    if (last == 0) {
        connection->topic = NULL;
        return;
    }
    struct ps_subscription *many = connection->subscriptions;
    for (uint32_t i = 0; i < last; i++) {
        if (many[i].topic == topic) {
            many[i] = many[last];
            break;
        }
    }
    if (last == 1) {
        struct ps_subscription only = many[0];
        free(many);
        connection->topic = only.topic;
        connection->position = only.position;
    }
}

/* ---- Attaching and leaving ---- */

int ps_topic_subscribe(ps_topic *topic, ps_connection_id id) {
    ps_loop *loop = topic->loop;
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    if (connection->kind == PS_KIND_HTTP
        || (connection->kind == PS_KIND_STREAM && !ps_stream_is_raw(connection))) {
        return PS_WRONG_STATE;
    }
    uint32_t position;
    if (find_position(connection, topic, &position)) {
        return 0;
    }
    if (connection->subscription_count >= loop->settings.subscription_count
        || connection->subscription_count == UINT16_MAX || !reserve_entry(topic)
        || !add_subscription(connection, topic, topic->count)) {
        return PS_FULL;
    }
    topic->entries[topic->count++] = (struct ps_entry){
        .fd = ps_connection_fd(connection),
        .slot = connection->slot,
        .deflates = (connection->flags & PS_FLAG_DEFLATES) != 0,
        .seen = topic->newest};
    ps_connection_mark(loop, connection);
    PS_COUNT(loop, subscriptions, 1);
    return 1;
}

static void move_entry(ps_topic *topic, uint32_t from, uint32_t to) {
    if (from != to) {
        topic->entries[to] = topic->entries[from];
        set_position(ps_slot_at(topic->loop, topic->entries[to].slot), topic, to);
    }
}

static void detach(ps_topic *topic, ps_connection *connection, uint32_t position) {
    ps_loop *loop = topic->loop;
    struct ps_settled settled = {0};
    ps_fanout_drop(topic, &topic->entries[position], &settled);
    ps_fanout_count(loop, &settled);
    if (topic->sweeping && position < topic->cursor) {
        /* The hole is filled from the served ones, so that nobody moves from before the cursor
         * to behind it or, unserved, the other way. */
        topic->cursor--;
        move_entry(topic, topic->cursor, position);
        position = topic->cursor;
    }
    topic->count--;
    move_entry(topic, topic->count, position);
    remove_subscription(connection, topic);
    ps_connection_mark(loop, connection);
    PS_COUNT(loop, subscriptions, UINT64_MAX); /* one less */
    give_back(topic);
}

int ps_topic_unsubscribe(ps_topic *topic, ps_connection_id id) {
    ps_connection *connection = ps_connection_find(topic->loop, id);
    if (!connection) {
        return PS_GONE;
    }
    uint32_t position;
    if (!find_position(connection, topic, &position)) {
        return 0;
    }
    detach(topic, connection, position);
    return 1;
}

void ps_topic_leave_all(ps_loop *loop, ps_connection *connection) {
    (void)loop;
    while (connection->subscription_count > 0) {
        bool is_one = connection->subscription_count == 1;
        const struct ps_subscription *last = is_one
            ? NULL : &connection->subscriptions[connection->subscription_count - 1];
        detach(
            is_one ? connection->topic : last->topic, connection,
            is_one ? connection->position : last->position);
    }
}

bool ps_topic_has(ps_topic *topic, ps_connection_id id) {
    const ps_connection *connection = ps_connection_find(topic->loop, id);
    uint32_t position;
    return connection && find_position(connection, topic, &position);
}

uint32_t ps_topic_subscriber_count(const ps_topic *topic) {
    return topic->count;
}

static void replace(ps_frame **frame, ps_frame *newer) {
    if (newer) {
        ps_frame_retain(newer);
    }
    if (*frame) {
        ps_frame_release(*frame);
    }
    *frame = newer;
}

static void release_frames(ps_topic *topic) {
    replace(&topic->tally, NULL);
    replace(&topic->transition, NULL);
    replace(&topic->snapshot, NULL);
    replace(&topic->viewers, NULL);
}

void ps_topic_trim(ps_topic *topic) {
    PS_ASSERT_THREAD(topic->loop);
    for (uint32_t i = 0; i < topic->count; i++) {
        if (topic->entries[i].seen.all != topic->newest.all) {
            return;
        }
    }
    release_frames(topic);
}

ps_connection_id ps_topic_subscriber(const ps_topic *topic, uint32_t position) {
    assert(position < topic->count);
    return ps_connection_id_of(ps_slot_at(topic->loop, topic->entries[position].slot));
}

void ps_topic_destroy(ps_topic *topic) {
    PS_ASSERT_THREAD(topic->loop);
    ps_sweep_cancel(topic);
    while (topic->count > 0) {
        uint32_t last = topic->count - 1;
        detach(topic, ps_slot_at(topic->loop, topic->entries[last].slot), last);
    }
    release_frames(topic);
    free(topic->entries);
    free(topic);
}

/* ---- Publishing ---- */

static void publish(ps_topic *topic, bool urgent) {
    PS_COUNT(topic->loop, frames_owed, topic->count);
    if (topic->count > 0) {
        uint64_t now_ns = topic->loop->now_ns;
        if (!topic->pending) {
            uint64_t cooled_ns = topic->started_ns + topic->loop->settings.tick_ns;
            topic->due_ns = topic->cooling && cooled_ns > now_ns ? cooled_ns : now_ns;
        }
        if (urgent && topic->due_ns > now_ns) {
            topic->due_ns = now_ns;
        }
        topic->pending = true;
        topic->urgent |= urgent;
        ps_sweep_schedule(topic);
    }
}

void ps_topic_publish_tally(ps_topic *topic, ps_frame *frame, int64_t ballot_unix_ms) {
    PS_ASSERT_THREAD(topic->loop);
    replace(&topic->tally, frame);
    /* The newest tally leaves for all before it: the oldest ballot waits longest. */
    if (topic->waiting_unix_ms == 0 && topic->count > 0) {
        topic->waiting_unix_ms = ballot_unix_ms;
    }
    topic->newest.tally++;
    topic->tally_is_later = true;
    publish(topic, false);
}

void ps_topic_publish_state(
    ps_topic *topic, ps_frame *transition, ps_frame *snapshot, bool supersedes_tally) {
    PS_ASSERT_THREAD(topic->loop);
    replace(&topic->transition, transition);
    replace(&topic->snapshot, snapshot);
    topic->newest.state++;
    topic->tally_is_later = false;
    if (supersedes_tally) {
        replace(&topic->tally, NULL);
    }
    publish(topic, true);
}

void ps_topic_publish_viewers(ps_topic *topic, ps_frame *frame) {
    PS_ASSERT_THREAD(topic->loop);
    replace(&topic->viewers, frame);
    topic->newest.viewers++;
    publish(topic, false);
}
