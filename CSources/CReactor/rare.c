#include <stdlib.h>
#include <string.h>

#include "memory_bound.h"

enum { INBOX_BYTES_MIN = 1024 };

struct ps_rare *ps_rare_get(ps_loop *loop, ps_connection *connection) {
    if (!connection->rare) {
        connection->rare = calloc(1, sizeof *connection->rare);
        ps_memory_hold(loop, connection->rare ? sizeof *connection->rare : 0);
        if (connection->rare) {
            connection->rare->since = loop->wheel.now;
        }
    }
    return connection->rare;
}

static bool is_idle(const ps_connection *connection) {
    const struct ps_rare *rare = connection->rare;
    switch (connection->kind) {
    case PS_KIND_HTTP:
        return rare->http.scanned == 0 && rare->http.head_bytes == 0 && !rare->http.ring
            && !rare->http.wants_continue;
    case PS_KIND_WEBSOCKET:
        return rare->ws.message.opcode == 0 && rare->ws.pong_count == 0;
    default:
        return false;
    }
}

static void free_inbox(ps_loop *loop, struct ps_rare *rare) {
    ps_memory_give(loop, rare->inbox_capacity);
    free(rare->inbox);
    rare->inbox = NULL;
    rare->inbox_capacity = 0;
}

void ps_rare_settle(ps_loop *loop, ps_connection *connection) {
    struct ps_rare *rare = connection->rare;
    if (!rare || rare->inbox_count > 0) {
        return;
    }
    if (rare->inbox) {
        free_inbox(loop, rare);
    }
    if (is_idle(connection)) {
        ps_memory_give(loop, sizeof *rare);
        free(rare);
        connection->rare = NULL;
    }
}

void ps_rare_free(ps_loop *loop, ps_connection *connection) {
    struct ps_rare *rare = connection->rare;
    if (!rare) {
        return;
    }
    if (connection->kind == PS_KIND_HTTP && rare->http.ring) {
        ps_http_free_ring(loop, rare);
    } else if (connection->kind == PS_KIND_WEBSOCKET) {
        ps_memory_give(loop, rare->ws.assembly_capacity);
        free(rare->ws.assembly);
    }
    free_inbox(loop, rare);
    ps_memory_give(loop, sizeof *rare);
    free(rare);
    connection->rare = NULL;
}

bool ps_inbox_reserve(ps_loop *loop, ps_connection *connection, uint32_t count) {
    struct ps_rare *rare = connection->rare;
    uint32_t needed = rare->inbox_count + count;
    if (needed <= rare->inbox_capacity) {
        return true;
    }
    uint32_t capacity = rare->inbox_capacity ? rare->inbox_capacity : INBOX_BYTES_MIN;
    while (capacity < needed) {
        capacity *= 2;
    }
    uint32_t more = capacity - rare->inbox_capacity;
    if (!ps_memory_takes_input(loop, connection, capacity, more)) {
        return false;
    }
    uint8_t *inbox = realloc(rare->inbox, capacity);
    if (!inbox) {
        return false;
    }
    ps_memory_hold(loop, more);
    rare->inbox = inbox;
    rare->inbox_capacity = capacity;
    return true;
}

bool ps_inbox_append(
    ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count) {
    struct ps_rare *rare = ps_rare_get(loop, connection);
    if (!rare || !ps_inbox_reserve(loop, connection, (uint32_t)count)) {
        return false;
    }
    memcpy(rare->inbox + rare->inbox_count, bytes, count);
    rare->inbox_count += (uint32_t)count;
    return true;
}

void ps_inbox_consume(struct ps_rare *rare, size_t count) {
    rare->inbox_count -= (uint32_t)count;
    memmove(rare->inbox, rare->inbox + count, rare->inbox_count);
}
