#include "memory_bound.h"

#include "outbox.h"
#include "tls.h"

/* Of the wheel. */
enum {
    SECOND_STEPS = (1000 >> PS_WHEEL_MS_BITS) + 1,
    HELD_STEPS = (10000 >> PS_WHEEL_MS_BITS) + 1,
};

bool ps_memory_takes_input(
    const ps_loop *loop, const ps_connection *connection, uint64_t bytes, uint64_t more) {
    if (connection->flags & PS_FLAG_OPS) {
        return true;
    }
    if (bytes <= PS_LEAN_INPUT_BYTES) {
        return !ps_memory_is_full(loop);
    }
    uint64_t held = ps_budget_buffer_bytes(loop->settings.budget);
    uint64_t most = ps_budget_short_bytes(loop->settings.budget);
    return held < most && more <= most - held;
}

bool ps_memory_may_read(ps_loop *loop, uint32_t waiting_bytes) {
    if (waiting_bytes < PS_LEAN_OUTBOX_BYTES || !ps_memory_is_short(loop)) {
        return true;
    }
    loop->reads_wait = true;
    return false;
}

void ps_memory_count_shed(ps_loop *loop, ps_shed what) {
    PS_COUNT_LIMIT(loop, PS_LIMIT_BUFFERS);
    PS_COUNT(loop, shed[what], 1);
}

void ps_memory_refuse_input(ps_loop *loop, ps_connection *connection) {
    if (connection->flags & PS_FLAG_PROXY) {
        ps_memory_count_shed(loop, PS_SHED_CONNECTIONS);
        ps_connection_reset(loop, connection);
        return;
    }
    switch (connection->kind) {
    case PS_KIND_HTTP:
        ps_memory_count_shed(loop, PS_SHED_REQUESTS);
        ps_http_refuse(loop, connection, 503);
        break;
    case PS_KIND_WEBSOCKET:
        ps_ws_refuse(loop, connection);
        break;
    default: /* requests behind a stream: it is the last answer then, and they are asked again */
        ps_memory_count_shed(loop, PS_SHED_REQUESTS);
        connection->rare->stream.closes = true;
        break;
    }
    if (connection->rare) {
        connection->rare->inbox_count = 0;
    }
}

void ps_memory_let_go(ps_loop *loop, ps_connection *connection) {
    ps_memory_count_shed(loop, PS_SHED_READERS);
    ps_connection_reset(loop, connection);
}

/* ---- Once a tick ---- */

/* Of those who are owed much, lets go whom `is_slow` finds so, until memory is short no more.
 * `held`: what all hold, less those who are gone. Returns whether it is not. */
static bool let_go_of(ps_loop *loop, uint64_t *held, bool (*is_slow)(uint32_t, const ps_outbox *)) {
    uint64_t most = ps_budget_short_bytes(loop->settings.budget);
    for (uint32_t slot = 0; *held >= most && slot < ps_slots_capacity(loop); slot++) {
        ps_connection *connection = ps_slot_at(loop, slot);
        const ps_outbox *outbox = connection->outbox;
        bool holds = outbox && outbox->waiting >= PS_LEAN_OUTBOX_BYTES
            && connection->flags & PS_FLAG_BLOCKED && !(connection->flags & PS_FLAG_OPS)
            && connection->state < PS_STATE_DOOMED;
        if (holds && is_slow(loop->wheel.now, outbox)) {
            ps_memory_let_go(loop, connection); /* its memory is free at the end of this turn */
            *held -= outbox->capacity < *held ? outbox->capacity : *held;
        }
    }
    return *held < most;
}

static bool has_held_long(uint32_t now, const ps_outbox *outbox) {
    return now - outbox->held >= HELD_STEPS;
}

static bool took_nothing(uint32_t now, const ps_outbox *outbox) {
    return now - outbox->progress >= SECOND_STEPS;
}

static bool holds_any(uint32_t now, const ps_outbox *outbox) {
    (void)now;
    (void)outbox;
    return true;
}

/* Requests have deadlines, messages have none: a pong now and then keeps half of one for ever. */
static bool holds_unfinished(const ps_loop *loop, const ps_connection *connection) {
    const struct ps_rare *rare = connection->rare;
    if (connection->kind != PS_KIND_WEBSOCKET || connection->state >= PS_STATE_DOOMED) {
        return false;
    }
    if (rare && (rare->inbox_capacity > 0 || rare->ws.assembly_capacity > 0)
        && loop->wheel.now - rare->since >= HELD_STEPS) {
        return true;
    }
    uint32_t since;
    return connection->flags & PS_FLAG_TLS && ps_tls_holds_record(connection, &since)
        && loop->wheel.now - since >= HELD_STEPS;
}

static void let_unfinished_go(ps_loop *loop) {
    for (uint32_t slot = 0; slot < ps_slots_capacity(loop); slot++) {
        ps_connection *connection = ps_slot_at(loop, slot);
        if (holds_unfinished(loop, connection)) {
            ps_memory_count_shed(loop, PS_SHED_MESSAGES);
            ps_connection_reset(loop, connection);
        }
    }
}

/* Where it is only short, those alone who have been at it for long, and not in every tick: a drip would
 * keep it short for good. */
static void let_slow_go(ps_loop *loop) {
    uint64_t held = ps_budget_buffer_bytes(loop->settings.budget);
    if (loop->wheel.now - loop->slow_looked >= SECOND_STEPS) {
        loop->slow_looked = loop->wheel.now;
        let_unfinished_go(loop);
        if (let_go_of(loop, &held, has_held_long)) {
            return;
        }
    }
    if (ps_memory_is_full(loop) && !let_go_of(loop, &held, took_nothing)) {
        let_go_of(loop, &held, holds_any);
    }
}

static void read_again(ps_loop *loop) {
    loop->reads_wait = false;
    for (uint32_t slot = 0; slot < ps_slots_capacity(loop); slot++) {
        ps_connection *connection = ps_slot_at(loop, slot);
        if (connection->state == PS_STATE_OPEN && connection->kind == PS_KIND_HTTP
            && !(connection->flags & PS_FLAG_WATCHES_READ)) {
            ps_connection_add_todo(loop, connection, PS_TODO_RESUME);
        }
    }
}

void ps_memory_tick(ps_loop *loop) {
    if (ps_memory_is_short(loop)) {
        ps_outbox_destroy_spares(loop);
        let_slow_go(loop);
    } else if (loop->reads_wait) {
        read_again(loop);
    }
}
