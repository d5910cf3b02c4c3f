#include <stdlib.h>
#include <string.h>

#include "connection.h"

enum { INBOX_BYTES_MIN = 1024 };

struct ps_rare *ps_rare_get(ps_connection *connection) {
    if (!connection->rare) {
        connection->rare = calloc(1, sizeof *connection->rare);
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

void ps_rare_settle(ps_connection *connection) {
    struct ps_rare *rare = connection->rare;
    if (!rare || rare->inbox_count > 0) {
        return;
    }
    free(rare->inbox);
    rare->inbox = NULL;
    rare->inbox_capacity = 0;
    if (is_idle(connection)) {
        free(rare);
        connection->rare = NULL;
    }
}

void ps_rare_free(ps_connection *connection, uint32_t pipeline_count) {
    struct ps_rare *rare = connection->rare;
    if (!rare) {
        return;
    }
    if (connection->kind == PS_KIND_HTTP && rare->http.ring) {
        for (uint32_t i = 0; i < pipeline_count; i++) {
            free(rare->http.ring[i].bytes);
        }
        free(rare->http.ring);
    } else if (connection->kind == PS_KIND_WEBSOCKET) {
        free(rare->ws.assembly);
    }
    free(rare->inbox);
    free(rare);
    connection->rare = NULL;
}

bool ps_inbox_reserve(struct ps_rare *rare, uint32_t count) {
    uint32_t needed = rare->inbox_count + count;
    if (needed <= rare->inbox_capacity) {
        return true;
    }
    uint32_t capacity = rare->inbox_capacity ? rare->inbox_capacity : INBOX_BYTES_MIN;
    while (capacity < needed) {
        capacity *= 2;
    }
    uint8_t *inbox = realloc(rare->inbox, capacity);
    if (!inbox) {
        return false;
    }
    rare->inbox = inbox;
    rare->inbox_capacity = capacity;
    return true;
}

bool ps_inbox_append(ps_connection *connection, const uint8_t *bytes, size_t count) {
    struct ps_rare *rare = ps_rare_get(connection);
    if (!rare || !ps_inbox_reserve(rare, (uint32_t)count)) {
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
