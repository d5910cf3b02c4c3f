/* At the limit of connections: who holds one and asks for nothing makes room for who comes. */
#include "connection.h"

enum {
    ROOM_SLOTS = 1024,     /* looked at for each who comes, so that a crowd costs little: */
    ROOM_CONNECTIONS = 64, /* at so many that are taken */
    ROOM_STEPS = (1000 >> PS_WHEEL_MS_BITS) + 1, /* of the wheel: whoever just came keeps its place */
};

/* Plain HTTP of which nothing is under way: no whole request, no body, no answer. Half of a head is
 * nothing yet. */
static bool is_spare(const ps_connection *connection) {
    switch (connection->deadline_class) {
    case PS_DEADLINE_HEAD:
    case PS_DEADLINE_IDLE:
    case PS_DEADLINE_PROXY:
    case PS_DEADLINE_TLS:
        break;
    default:
        return false;
    }
    enum { HELD = PS_FLAG_OPS | PS_FLAG_BLOCKED | PS_FLAG_DIRTY | PS_FLAG_LISTED };
    return connection->state == PS_STATE_OPEN && connection->kind == PS_KIND_HTTP
        && !(connection->flags & HELD) && !connection->outbox
        && ps_http_unanswered(connection) == 0;
}

/* Steps since its deadline began: since its last answer, or the first byte of a head. */
static int32_t steps_waited(const ps_loop *loop, const ps_connection *connection) {
    uint32_t timeout_ms = loop->settings.idle_timeout_ms;
    switch (connection->deadline_class) {
    case PS_DEADLINE_HEAD:
        timeout_ms = loop->settings.header_timeout_ms;
        break;
    case PS_DEADLINE_PROXY:
        timeout_ms = loop->settings.proxy_timeout_ms;
        break;
    case PS_DEADLINE_TLS:
        timeout_ms = loop->settings.tls_timeout_ms;
        break;
    default:
        break;
    }
    uint32_t began = connection->due - (timeout_ms >> PS_WHEEL_MS_BITS) - 1;
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
        if (is_spare(connection) && steps_waited(loop, connection) >= most) {
            most = steps_waited(loop, connection);
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
