/* When a topic is served, and how a slice of it is.
 *
 *   publish ─► pending ──── no sweep of it within the last tick, or a state ────► READY
 *                 ▲  └───── else: when it has COOLED ─────────────────────────────► │
 *                 │                                                                 │ end of turn
 *                 │ published meanwhile                                             ▼
 *                 └───────────────────────────────── last entry served ◄── UNDER WAY, slice by slice
 *                                                                            cooling for one tick
 *
 * The tick is the same for all, so topics cool in the order in which their sweeps began: one list
 * and one timer do. A sweep that takes longer than the tick is followed by the next at once: under
 * load the tick stretches, and no queue grows. */
#include "sweep.h"

#include <errno.h>
#include <string.h>

#include "fanout.h"
#include "outbox.h"

enum {
    SHARE_MIN = 16,  /* of a slice, for each of many topics */
    LOOK_FACTOR = 16 /* entries looked at for one that is served */
};

static void list_append(struct ps_topic_list *list, ps_topic *topic, size_t link_offset);
static void list_remove(struct ps_topic_list *list, ps_topic *topic, size_t link_offset);

#define WORK offsetof(struct ps_topic, work)
#define COOLS offsetof(struct ps_topic, cools)

bool ps_sweeps_init(struct ps_sweeps *sweeps, bool wants_ring) {
    sweeps->send = wants_ring ? ps_sweep_send_uring : ps_sweep_send_each;
    sweeps->ring = wants_ring ? ps_uring_create() : NULL;
    return !wants_ring || sweeps->ring;
}

void ps_sweeps_destroy(struct ps_sweeps *sweeps) {
    ps_uring_destroy(sweeps->ring);
    sweeps->ring = NULL;
}

/* ---- Schedule ---- */

void ps_sweep_schedule(ps_topic *topic) {
    bool due = topic->pending && (topic->urgent || !topic->cooling);
    if (due && !topic->sweeping && !topic->ready) {
        topic->ready = true;
        list_append(&topic->loop->sweeps.ready, topic, WORK);
    }
}

static void on_cooled(uv_timer_t *timer);

static void arm_timer(ps_loop *loop) {
    const ps_topic *first = loop->sweeps.cooling.first;
    if (!first) {
        return;
    }
    uint64_t due_ns = first->started_ns + loop->settings.tick_ns;
    uint64_t wait_ns = due_ns > loop->now_ns ? due_ns - loop->now_ns : 0;
    uv_timer_start(&loop->sweeps.timer, on_cooled, (wait_ns + 999999) / 1000000, 0);
}

static void on_cooled(uv_timer_t *timer) {
    ps_loop *loop = timer->loop->data;
    ps_loop_enter(loop);
    ps_topic *topic;
    while ((topic = loop->sweeps.cooling.first)
           && loop->now_ns - topic->started_ns >= loop->settings.tick_ns) {
        list_remove(&loop->sweeps.cooling, topic, COOLS);
        topic->cooling = false;
        ps_sweep_schedule(topic);
    }
    arm_timer(loop);
}

static void begin(ps_loop *loop, ps_topic *topic) {
    struct ps_sweeps *sweeps = &loop->sweeps;
    list_remove(&sweeps->ready, topic, WORK);
    topic->ready = false;
    topic->pending = false;
    topic->urgent = false;
    topic->sweeping = true;
    topic->cursor = 0;
    topic->started_ns = loop->now_ns;
    PS_OBSERVE(loop, tick_stretches, loop->now_ns > topic->due_ns ? loop->now_ns - topic->due_ns : 0);
    topic->carried_unix_ms = topic->waiting_unix_ms;
    topic->waiting_unix_ms = 0;
    list_append(&sweeps->under_way, topic, WORK);
    sweeps->under_way_count++;
    if (topic->cooling) { /* begun early, for a state */
        list_remove(&sweeps->cooling, topic, COOLS);
    }
    topic->cooling = true;
    list_append(&sweeps->cooling, topic, COOLS);
    if (sweeps->cooling.first == topic || !uv_is_active((uv_handle_t *)&sweeps->timer)) {
        arm_timer(loop);
    }
    PS_COUNT(loop, sweeps, 1);
}

static void leave_under_way(struct ps_sweeps *sweeps, ps_topic *topic) {
    list_remove(&sweeps->under_way, topic, WORK);
    sweeps->under_way_count--;
    topic->sweeping = false;
}

/* In whole milliseconds, as tallies say when their ballots came in. A clock that was set back gives
 * no time at all. */
static void observe_vote_to_frame(ps_loop *loop, const ps_topic *topic) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t took_ns = ((int64_t)now.tv_sec * 1000 - topic->carried_unix_ms) * 1000000 + now.tv_nsec;
    PS_OBSERVE(loop, vote_to_frame, took_ns > 0 ? (uint64_t)took_ns : 0);
}

static void finish(ps_loop *loop, ps_topic *topic) {
    leave_under_way(&loop->sweeps, topic);
    uint64_t took_ns = ps_monotonic_ns() - topic->started_ns;
    PS_COUNT_MAX(loop, sweep_ns_max, took_ns);
    PS_OBSERVE(loop, sweep_durations, took_ns);
    if (topic->carried_unix_ms != 0) {
        observe_vote_to_frame(loop, topic);
    }
    ps_sweep_schedule(topic); /* what was published meanwhile */
}

void ps_sweep_cancel(ps_topic *topic) {
    struct ps_sweeps *sweeps = &topic->loop->sweeps;
    if (topic->ready) {
        list_remove(&sweeps->ready, topic, WORK);
    }
    if (topic->sweeping) {
        leave_under_way(sweeps, topic);
    }
    if (topic->cooling) {
        list_remove(&sweeps->cooling, topic, COOLS);
    }
    topic->ready = topic->cooling = false;
}

/* ---- A slice ---- */

/* The combinations of frames that entries of one topic can be owed at one moment. */
struct messages {
    struct ps_sweep_message of[2 * 3 * 2 * 2];
};

/* Which combination: tally or not, no state, transition or snapshot, viewers or not; plain or
 * compressed. */
static size_t combination(const ps_topic *topic, const struct ps_entry *entry) {
    uint16_t states = (uint16_t)(topic->newest.state - entry->seen.state);
    size_t tally = entry->seen.tally != topic->newest.tally;
    size_t state = states > 2 ? 2 : states;
    size_t viewers = entry->seen.viewers != topic->newest.viewers;
    return tally + 2 * state + 6 * viewers + 12 * entry->deflates;
}

static const struct ps_sweep_message *message_for(
    struct messages *messages, ps_topic *topic, uint32_t position) {
    struct ps_sweep_message *message =
        &messages->of[combination(topic, &topic->entries[position])];
    if (message->part_count == 0) {
        struct ps_due owed[PS_LANE_COUNT];
        message->part_count = (uint32_t)ps_fanout_owed(topic, position, owed);
        for (uint32_t i = 0; i < message->part_count; i++) {
            message->parts[i] = (struct iovec){owed[i].frame->bytes, owed[i].frame->count};
            message->bytes += owed[i].frame->count;
        }
    }
    return message;
}

/* A send that did not go through whole. */
static void settle_short(ps_loop *loop, ps_topic *topic, const struct ps_sweep_item *item) {
    ps_connection *connection = ps_slot_at(loop, topic->entries[item->position].slot);
    bool failed = item->taken < 0 && item->taken != -EAGAIN && item->taken != -ENOBUFS;
    if (failed) {
        ps_connection_doom(loop, connection);
        return;
    }
    if (item->taken > 0) {
        struct ps_due owed[PS_LANE_COUNT];
        size_t count = ps_fanout_owed(topic, item->position, owed);
        ps_fanout_taken(loop, connection, owed, count, (size_t)item->taken);
    }
    if (connection->state < PS_STATE_DOOMED) {
        ps_connection_block(loop, connection);
    }
}

static void settle_items(
    ps_loop *loop, ps_topic *topic, const struct ps_sweep_item *items, size_t count) {
    struct ps_settled settled = {0};
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += items[i].taken > 0 ? (uint64_t)items[i].taken : 0;
        if ((uint32_t)items[i].taken == items[i].message->bytes) {
            ps_fanout_settle_all(topic, &topic->entries[items[i].position], &settled);
        } else {
            settle_short(loop, topic, &items[i]);
        }
    }
    ps_fanout_count(loop, &settled);
    PS_COUNT(loop, sends, count);
    PS_COUNT(loop, bytes_sent, bytes);
}

/* Serves up to `share` of the entries after the cursor. Who is not busy costs an entry, a bit and a
 * send; ps_connection is not touched. Nothing here calls back, so the entries stay where they
 * are. Returns how many were served. */
static uint32_t serve(ps_loop *loop, ps_topic *topic, uint32_t share) {
    struct ps_sweep_item *items = loop->sweeps.items;
    struct messages messages;
    memset(&messages, 0, sizeof messages);
    const uint64_t newest = topic->newest.all;
    const uint32_t end = topic->count - topic->cursor > share * LOOK_FACTOR
        ? topic->cursor + share * LOOK_FACTOR : topic->count;
    uint32_t position = topic->cursor;
    uint32_t count = 0;
    uint32_t busy = 0;
    for (; position < end && count + busy < share; position++) {
        const struct ps_entry *entry = &topic->entries[position];
        if (entry->seen.all == newest) {
            continue;
        }
        if (ps_slot_is_busy(loop, entry->slot)) {
            ps_connection_flush(loop, ps_slot_at(loop, entry->slot));
            busy++;
            continue;
        }
        items[count++] = (struct ps_sweep_item){
            .message = message_for(&messages, topic, position),
            .fd = entry->fd,
            .position = position};
    }
    loop->sweeps.send(loop->sweeps.ring, items, count);
    settle_items(loop, topic, items, count);
    topic->cursor = position;
    return count + busy;
}

bool ps_sweeps_run(ps_loop *loop) {
    struct ps_sweeps *sweeps = &loop->sweeps;
    while (sweeps->ready.first) {
        begin(loop, sweeps->ready.first);
    }
    uint32_t budget = loop->settings.sweep_slice_count;
    while (sweeps->under_way.first && budget > 0) {
        ps_topic *topic = sweeps->under_way.first;
        uint32_t share = budget / sweeps->under_way_count;
        share = share < SHARE_MIN ? SHARE_MIN : share;
        share = share > PS_SLICE_MAX ? PS_SLICE_MAX : share;
        uint32_t served = serve(loop, topic, share);
        budget -= served < budget ? served : budget;
        budget -= budget > 0; /* an empty sweep is a little work, too */
        if (topic->cursor >= topic->count) {
            finish(loop, topic);
        } else if (topic->work.next) {
            list_remove(&sweeps->under_way, topic, WORK);
            list_append(&sweeps->under_way, topic, WORK);
        }
    }
    return sweeps->under_way.first || sweeps->ready.first;
}

/* ---- Lists of topics, linked through one of two places ---- */

static struct ps_topic_link *link_of(ps_topic *topic, size_t offset) {
    return (struct ps_topic_link *)((uint8_t *)topic + offset);
}

static void list_append(struct ps_topic_list *list, ps_topic *topic, size_t link_offset) {
    *link_of(topic, link_offset) = (struct ps_topic_link){.previous = list->last};
    if (list->last) {
        link_of(list->last, link_offset)->next = topic;
    } else {
        list->first = topic;
    }
    list->last = topic;
}

static void list_remove(struct ps_topic_list *list, ps_topic *topic, size_t link_offset) {
    struct ps_topic_link *link = link_of(topic, link_offset);
    if (link->previous) {
        link_of(link->previous, link_offset)->next = link->next;
    } else {
        list->first = link->next;
    }
    if (link->next) {
        link_of(link->next, link_offset)->previous = link->previous;
    } else {
        list->last = link->previous;
    }
    *link = (struct ps_topic_link){0};
}
