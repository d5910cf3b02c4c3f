/* At the limit of connections: who holds one and asks for nothing makes room for who comes. */
#include "connection.h"

enum {
    ROOM_SLOTS = 1024,     /* looked at for each who comes, so that a crowd costs little: */
    ROOM_CONNECTIONS = 64, /* at so many that are taken */
    ROOM_STEPS = (1000 >> PS_WHEEL_MS_BITS) + 1, /* of the wheel: whoever just came keeps its place */
};

/* How long it is waited for in this class; 0 in those in which something is under way. */
static uint32_t timeout_ms(const ps_loop *loop, uint8_t deadline_class) {
    switch (deadline_class) {
    case PS_DEADLINE_HEAD: /* half of a head is nothing yet */
        return loop->settings.header_timeout_ms;
    case PS_DEADLINE_IDLE:
        return loop->settings.idle_timeout_ms;
    case PS_DEADLINE_PROXY:
        return loop->settings.proxy_timeout_ms;
    case PS_DEADLINE_TLS:
        return loop->settings.tls_timeout_ms;
    default:
        return 0;
    }
}

/* Of plain HTTP of which nothing is under way, no whole request, no body, no answer: steps since its
 * last answer, or the first byte of a head. 0 of any other. */
static int32_t steps_idle(const ps_loop *loop, const ps_connection *connection) {
    enum { HELD = PS_FLAG_OPS | PS_FLAG_BLOCKED | PS_FLAG_DIRTY | PS_FLAG_LISTED };
    uint32_t timeout = timeout_ms(loop, connection->deadline_class);
    if (connection->state != PS_STATE_OPEN || connection->kind != PS_KIND_HTTP || timeout == 0
        || connection->flags & HELD || connection->outbox || ps_http_unanswered(connection) > 0) {
        return 0;
    }
    uint32_t began = connection->due - (timeout >> PS_WHEEL_MS_BITS) - 1;
    return (int32_t)(loop->wheel.now - began);
}

bool ps_connection_make_room(ps_loop *loop) {
    uint32_t capacity = ps_slots_capacity(loop);
    uint32_t count = capacity < ROOM_SLOTS ? capacity : ROOM_SLOTS;
    uint32_t taken = 0;
    ps_connection *longest = NULL;
    int32_t most = ROOM_STEPS;
    for (uint32_t i = 0; i < count && taken < ROOM_CONNECTIONS; i++) {
        loop->room_cursor = (loop->room_cursor + 1) % capacity;
        ps_connection *connection = ps_slot_at(loop, loop->room_cursor);
        taken += connection->state != PS_STATE_FREE;
        int32_t idle = steps_idle(loop, connection);
        if (idle >= most) {
            most = idle;
            longest = connection;
        }
    }
    if (!longest) {
        return false;
    }
    PS_COUNT_LIMIT(loop, PS_LIMIT_SPARE);
    ps_connection_end(loop, longest); /* at once, though in a turn: nothing refers to it */
    return true;
}
