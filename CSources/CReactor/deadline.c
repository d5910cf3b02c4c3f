#include "deadline.h"

#include "memory_bound.h"
#include "outbox.h"

static uint32_t step_after(const ps_loop *loop, uint32_t delay_ms) {
    uint64_t at_ms = loop->now_ns / 1000000 + delay_ms;
    return (uint32_t)(at_ms >> PS_WHEEL_MS_BITS) - loop->wheel.stood_still;
}

uint32_t ps_deadline_step(const ps_loop *loop, uint32_t delay_ms) {
    return step_after(loop, delay_ms) + 1;
}

/* Steps are compared by their distance, so that they may wrap. */
static bool is_before(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) < 0;
}

static void stand(ps_loop *loop, ps_connection *connection, uint32_t step) {
    if (!is_before(loop->wheel.now, step)) {
        step = loop->wheel.now + 1; /* the steps up to now have been run */
    }
    if (step == 0) {
        step = 1; /* 0 says that it stands nowhere */
    }
    uint32_t *bucket = &loop->wheel.buckets[step % PS_WHEEL_STEPS];
    connection->wheel_step = step;
    connection->wheel_previous = 0;
    connection->wheel_next = *bucket;
    if (*bucket != 0) {
        ps_slot_at(loop, *bucket - 1)->wheel_previous = connection->slot + 1;
    }
    *bucket = connection->slot + 1;
}

void ps_deadline_unlink(ps_loop *loop, ps_connection *connection) {
    if (connection->wheel_step == 0) {
        return;
    }
    if (connection->wheel_next != 0) {
        ps_slot_at(loop, connection->wheel_next - 1)->wheel_previous = connection->wheel_previous;
    }
    if (connection->wheel_previous != 0) {
        ps_slot_at(loop, connection->wheel_previous - 1)->wheel_next = connection->wheel_next;
    } else {
        loop->wheel.buckets[connection->wheel_step % PS_WHEEL_STEPS] = connection->wheel_next;
    }
    connection->wheel_step = 0;
}

static bool has_ping(const ps_connection *connection) {
    return connection->kind != PS_KIND_HTTP && connection->state == PS_STATE_OPEN;
}

/* Two ping periods: from the last byte that it took, and for an answer, or for as much as is worth
 * memory, from when it last kept the pace. */
static bool is_paced(const ps_connection *connection) {
    const ps_outbox *outbox = connection->outbox;
    return outbox->is_paced
        && (connection->kind == PS_KIND_HTTP || outbox->waiting >= PS_LEAN_OUTBOX_BYTES);
}

static uint32_t blocked_until(const ps_loop *loop, const ps_connection *connection) {
    const ps_outbox *outbox = connection->outbox;
    uint32_t since = is_paced(connection) ? outbox->pace : outbox->progress;
    uint32_t periods_ms = 2 * loop->settings.ping_period_ms;
    return since + (periods_ms >> PS_WHEEL_MS_BITS) + 2; /* one step more: it was rounded down */
}

static bool is_too_slow(const ps_loop *loop, const ps_connection *connection) {
    return !is_before(loop->wheel.now, blocked_until(loop, connection))
        && !(is_paced(connection) && ps_outbox_keeps_pace(loop, connection));
}

/* The earliest of all that applies; false where nothing does. */
static bool earliest(const ps_loop *loop, const ps_connection *connection, uint32_t *step) {
    bool any = false;
    if (connection->deadline_class != PS_DEADLINE_NONE) {
        *step = connection->due;
        any = true;
    }
    if (has_ping(connection) && (!any || is_before(connection->ping_due, *step))) {
        *step = connection->ping_due;
        any = true;
    }
    if (connection->flags & PS_FLAG_BLOCKED && connection->outbox
        && (!any || is_before(blocked_until(loop, connection), *step))) {
        *step = blocked_until(loop, connection);
        any = true;
    }
    return any;
}

void ps_deadline_arm(ps_loop *loop, ps_connection *connection) {
    uint32_t step;
    if (!earliest(loop, connection, &step)) {
        return; /* an entry that stands somewhere is found idle when it is reached */
    }
    if (connection->wheel_step != 0) {
        if (!is_before(step, connection->wheel_step)) {
            return;
        }
        ps_deadline_unlink(loop, connection);
    }
    stand(loop, connection, step);
}

void ps_deadline_set(
    ps_loop *loop, ps_connection *connection, ps_deadline_class kind, uint32_t delay_ms) {
    connection->deadline_class = (uint8_t)kind;
    connection->due = ps_deadline_step(loop, delay_ms);
    ps_deadline_arm(loop, connection);
}

void ps_deadline_clear(ps_connection *connection) {
    connection->deadline_class = PS_DEADLINE_NONE;
}

static void expire_class(ps_loop *loop, ps_connection *connection) {
    ps_deadline_class kind = connection->deadline_class;
    connection->deadline_class = PS_DEADLINE_NONE;
    switch (kind) {
    case PS_DEADLINE_NONE:
        break;
    case PS_DEADLINE_HEAD:
    case PS_DEADLINE_BODY:
        PS_COUNT_LIMIT(
            loop, kind == PS_DEADLINE_HEAD ? PS_LIMIT_HEADER_TIMEOUT : PS_LIMIT_BODY_TIMEOUT);
        ps_http_refuse(loop, connection, 408);
        ps_connection_add_todo(loop, connection, PS_TODO_RESUME); /* throws the inbox away */
        break;
    case PS_DEADLINE_IDLE:
        if (connection->outbox) { /* its last answer is still being read */
            ps_deadline_set(
                loop, connection, PS_DEADLINE_IDLE, loop->settings.idle_timeout_ms);
            break;
        }
        PS_COUNT_LIMIT(loop, PS_LIMIT_IDLE_TIMEOUT);
        ps_connection_doom(loop, connection);
        break;
    case PS_DEADLINE_PROXY:
        PS_COUNT_LIMIT(loop, PS_LIMIT_PROXY_TIMEOUT);
        ps_connection_reset(loop, connection);
        break;
    case PS_DEADLINE_TLS:
        PS_COUNT_LIMIT(loop, PS_LIMIT_TLS_TIMEOUT);
        ps_connection_reset(loop, connection);
        break;
    case PS_DEADLINE_CLOSE:
        PS_COUNT_LIMIT(loop, PS_LIMIT_CLOSE_TIMEOUT);
        if (connection->flags & PS_FLAG_BLOCKED) {
            ps_connection_reset(loop, connection); /* else the kernel would go on trying */
        } else {
            ps_connection_doom(loop, connection);
        }
        break;
    }
}

/* Took nothing, or next to it, for two ping periods: what the kernel holds will not be taken, nor a Close behind
 * it, so the attempt is the last thing done. */
static void expire_blocked(ps_loop *loop, ps_connection *connection) {
    PS_COUNT_LIMIT(loop, PS_LIMIT_NOT_READING);
    if (connection->kind == PS_KIND_WEBSOCKET && connection->state == PS_STATE_OPEN) {
        ps_ws_begin_close(loop, connection, 1008, "not reading");
        ps_connection_unblock(loop, connection);
        ps_connection_flush(loop, connection);
        if (!connection->outbox) {
            return; /* it was taken after all: the close goes on as any other */
        }
    }
    ps_connection_reset(loop, connection);
}

static void expire_ping(ps_loop *loop, ps_connection *connection) {
    uint32_t period = (loop->settings.ping_period_ms >> PS_WHEEL_MS_BITS) + 1;
    connection->ping_due = loop->wheel.now + period;
    if (connection->flags & PS_FLAG_BLOCKED) {
        connection->heard = loop->wheel.now; /* no ping reaches it: it has nothing to answer */
        return;
    }
    if (connection->kind == PS_KIND_WEBSOCKET
        && loop->wheel.now - connection->heard > 2 * period) {
        PS_COUNT_LIMIT(loop, PS_LIMIT_PING_PERIOD);
        ps_connection_reset(loop, connection);
        return;
    }
    if (connection->kind == PS_KIND_WEBSOCKET) {
        ps_ws_ping(loop, connection);
    } else {
        ps_stream_ping(loop, connection);
    }
}

void ps_deadline_expire(ps_loop *loop, ps_connection *connection) {
    uint32_t now = loop->wheel.now;
    if (connection->deadline_class != PS_DEADLINE_NONE && !is_before(now, connection->due)) {
        expire_class(loop, connection);
    }
    if (connection->state < PS_STATE_DOOMED && connection->flags & PS_FLAG_BLOCKED
        && connection->outbox && is_too_slow(loop, connection)) {
        expire_blocked(loop, connection);
    }
    if (has_ping(connection) && !is_before(now, connection->ping_due)) {
        expire_ping(loop, connection);
    }
    if (connection->state < PS_STATE_DOOMED) {
        ps_deadline_arm(loop, connection);
    }
}

void ps_deadline_run(ps_loop *loop, uint64_t cpu_ns) {
    uint32_t now = step_after(loop, 0);
    uint32_t behind = now - loop->wheel.now;
    if (behind > PS_WHEEL_LATE_STEPS) {
        uint64_t worked = ((cpu_ns - loop->wheel.cpu_ns) / 1000000) >> PS_WHEEL_MS_BITS;
        uint32_t counted = worked < 1 ? 1 : worked < behind ? (uint32_t)worked : behind;
        loop->wheel.stood_still += behind - counted;
        now -= behind - counted;
    }
    loop->wheel.cpu_ns = cpu_ns;
    while (loop->wheel.now != now) {
        loop->wheel.now++;
        uint32_t *bucket = &loop->wheel.buckets[loop->wheel.now % PS_WHEEL_STEPS];
        uint32_t next = *bucket;
        while (next != 0) {
            ps_connection *connection = ps_slot_at(loop, next - 1);
            next = connection->wheel_next;
            if (is_before(loop->wheel.now, connection->wheel_step)) {
                continue; /* of a later round */
            }
            ps_deadline_unlink(loop, connection);
            ps_connection_add_todo(loop, connection, PS_TODO_EXPIRE);
        }
    }
}
