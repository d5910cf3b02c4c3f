/* The PROXY header before a connection's first request: who may send it, and what it changes. */
#include "connection.h"

#include <stdlib.h>
#include <string.h>

bool ps_proxy_copy_networks(ps_loop_settings *settings) {
    size_t bytes = settings->trusted_count * sizeof *settings->trusted;
    if (bytes == 0) {
        settings->trusted = NULL; /* the caller's pointer is not ours to free */
        return true;
    }
    ps_network *copy = malloc(bytes);
    if (copy) {
        memcpy(copy, settings->trusted, bytes);
    }
    settings->trusted = copy;
    return copy != NULL;
}

static bool contains(const ps_network *network, const uint8_t address[16]) {
    uint8_t whole = network->prefix_bits / 8, rest = network->prefix_bits % 8;
    if (memcmp(network->address, address, whole) != 0) {
        return false;
    }
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    return rest == 0 || (network->address[whole] & mask) == (address[whole] & mask);
}

static bool is_trusted(const ps_loop *loop, const uint8_t address[16]) {
    for (size_t i = 0; i < loop->settings.trusted_count; i++) {
        if (contains(&loop->settings.trusted[i], address)) {
            return true;
        }
    }
    return false;
}

void ps_proxy_expect(ps_loop *loop, ps_connection *connection) {
    if (loop->settings.proxy_mode == PS_PROXY_OFF) {
        return;
    }
    if (is_trusted(loop, connection->peer_address)) {
        connection->flags |= PS_FLAG_PROXY;
        ps_deadline_set(
            loop, connection, PS_DEADLINE_PROXY, loop->settings.proxy_timeout_ms);
    } else if (loop->settings.proxy_mode == PS_PROXY_REQUIRED) {
        PS_COUNT(loop, malformed_requests, 1);
        ps_connection_reset(loop, connection);
    }
}

static void go_on(ps_loop *loop, ps_connection *connection) {
    connection->flags &= (uint16_t)~PS_FLAG_PROXY;
    ps_connection_await_client(loop, connection);
}

size_t ps_proxy_take(
    ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count) {
    if (loop->settings.proxy_mode == PS_PROXY_OPTIONAL
        && ps_proxy_begins(bytes, count) == PS_MALFORMED) {
        go_on(loop, connection);
        return 0;
    }
    ps_proxy_header header;
    switch (ps_proxy_parse(&header, bytes, count)) {
    case PS_DONE:
        if (header.has_address) {
            memcpy(connection->peer_address, header.address, sizeof header.address);
            connection->peer_port = header.port;
        }
        go_on(loop, connection);
        return header.header_bytes;
    case PS_PARTIAL:
        return 0;
    default:
        PS_COUNT(loop, malformed_requests, 1);
        ps_connection_reset(loop, connection);
        return count;
    }
}
