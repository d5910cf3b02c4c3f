#include "connection.h"

#include <stdlib.h>
#include <string.h>

/* Connections live in chunks that are never moved or freed before the loop is: the address of an
 * open connection, and libuv's handle in it, stays. Free slots are linked, the last freed first. */

enum { CHUNKS_MIN = 16 };

static bool add_chunk(ps_loop *loop) {
    struct ps_slots *slots = &loop->slots;
    uint32_t count = slots->chunk_count;
    if (count == UINT32_MAX / PS_CHUNK_SLOTS) {
        return false;
    }
    if (count == 0 || (count >= CHUNKS_MIN && (count & (count - 1)) == 0)) {
        size_t capacity = count ? (size_t)count * 2 : CHUNKS_MIN;
        ps_connection **chunks = realloc(slots->chunks, capacity * sizeof *chunks);
        if (!chunks) {
            return false;
        }
        slots->chunks = chunks;
    }
    enum { WORDS = PS_CHUNK_SLOTS / 64 };
    uint64_t *busy = realloc(slots->busy, (count + 1) * WORDS * sizeof *busy);
    if (!busy) {
        return false;
    }
    slots->busy = busy;
    memset(busy + count * WORDS, 0, WORDS * sizeof *busy);

    ps_connection *chunk = aligned_alloc(64, PS_CHUNK_SLOTS * sizeof *chunk);
    if (!chunk) {
        return false;
    }
    memset(chunk, 0, PS_CHUNK_SLOTS * sizeof *chunk);
    slots->chunks[slots->chunk_count++] = chunk;
    for (uint32_t i = PS_CHUNK_SLOTS; i-- > 0;) {
        chunk[i].slot = count * PS_CHUNK_SLOTS + i;
        chunk[i].generation = 1;
        chunk[i].todo_next = slots->free;
        slots->free = chunk[i].slot + 1;
    }
    return true;
}

ps_connection *ps_slot_take(ps_loop *loop) {
    if (loop->slots.free == 0 && !add_chunk(loop)) {
        return NULL;
    }
    ps_connection *connection = ps_slot_at(loop, loop->slots.free - 1);
    loop->slots.free = connection->todo_next;
    loop->slots.open++;
    connection->todo_next = 0;
    return connection;
}

void ps_slot_free(ps_loop *loop, ps_connection *connection) {
    uint32_t slot = connection->slot;
    uint32_t generation = connection->generation + 1;
    memset(connection, 0, sizeof *connection);
    connection->slot = slot;
    connection->generation = generation ? generation : 1; /* an id is never 0 */
    connection->todo_next = loop->slots.free;
    loop->slots.free = slot + 1;
    loop->slots.open--;
}

void ps_slots_destroy(ps_loop *loop) {
    for (uint32_t i = 0; i < loop->slots.chunk_count; i++) {
        free(loop->slots.chunks[i]);
    }
    free(loop->slots.chunks);
    free(loop->slots.busy);
}

uint32_t ps_slots_capacity(const ps_loop *loop) {
    return loop->slots.chunk_count * PS_CHUNK_SLOTS;
}

ps_connection *ps_connection_find(ps_loop *loop, ps_connection_id id) {
    PS_ASSERT_THREAD(loop);
    uint32_t slot = (uint32_t)id;
    if (slot >= ps_slots_capacity(loop)) {
        return NULL;
    }
    ps_connection *connection = ps_slot_at(loop, slot);
    bool found = connection->generation == id >> 32 && connection->state == PS_STATE_OPEN;
    return found ? connection : NULL;
}

ps_connection_id ps_loop_next_connection(ps_loop *loop, uint32_t *cursor) {
    PS_ASSERT_THREAD(loop);
    while (*cursor < ps_slots_capacity(loop)) {
        ps_connection *connection = ps_slot_at(loop, (*cursor)++);
        if (connection->state == PS_STATE_OPEN) {
            return ps_connection_id_of(connection);
        }
    }
    return 0;
}

static uint32_t *link_of(ps_connection *connection, size_t offset) {
    return (uint32_t *)((uint8_t *)connection + offset);
}

void ps_slot_list_append(
    ps_loop *loop, struct ps_slot_list *list, ps_connection *connection, size_t link_offset) {
    *link_of(connection, link_offset) = 0;
    if (list->last == 0) {
        list->first = connection->slot + 1;
    } else {
        *link_of(ps_slot_at(loop, list->last - 1), link_offset) = connection->slot + 1;
    }
    list->last = connection->slot + 1;
}

void ps_connection_mark(ps_loop *loop, const ps_connection *connection) {
    /* A blocked connection has an outbox, if only an empty one. */
    bool busy = connection->outbox || connection->subscription_count > 1
        || connection->flags & PS_FLAG_TLS;
    uint64_t *word = &loop->slots.busy[connection->slot / 64];
    uint64_t bit = UINT64_C(1) << connection->slot % 64;
    *word = busy ? *word | bit : *word & ~bit;
}
