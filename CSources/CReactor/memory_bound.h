/* What the buffers of all connections hold together has a bound, settings.budget's:
 *
 *   0 ────────────────── 3/4 ─────────────────── 1
 *     all is taken        │ short                 │ full
 *                         │ input grows no larger │ no input grows; who comes is answered 503;
 *                         │ than LEAN: 503, 1013; │ who does not take what it is owed is let go,
 *                         │ who has answers to    │ the slowest first
 *                         │ take is not read from,│
 *                         │ nor waited for longer │
 *                         │ than ten seconds      │
 *
 * What arrives whole needs no buffer and is served always, so that votes, pings and viewers are. An
 * answer is never refused: the quarter above "short" is theirs. A count is kept where a buffer is
 * allocated, grows or is freed, not where bytes pass: the number is shared by all loops, and a vote
 * that comes and is answered does not touch it. */
#ifndef PS_MEMORY_BOUND_H
#define PS_MEMORY_BOUND_H

#include "budget.h"
#include "connection.h"

enum {
    PS_LEAN_INPUT_BYTES = 4 << 10,   /* as a vote whose head and body come apart needs */
    PS_LEAN_OUTBOX_BYTES = 16 << 10, /* one write's worth */
};

/* A buffer was allocated, or has grown by so much; freed, or shrunk. */
static inline void ps_memory_hold(ps_loop *loop, size_t bytes) {
    atomic_fetch_add_explicit(
        &loop->settings.budget->buffer_bytes, bytes, memory_order_relaxed);
}

static inline void ps_memory_give(ps_loop *loop, size_t bytes) {
    atomic_fetch_sub_explicit(
        &loop->settings.budget->buffer_bytes, bytes, memory_order_relaxed);
}

static inline bool ps_memory_is_full(const ps_loop *loop) {
    return ps_budget_buffer_bytes(loop->settings.budget) >= loop->settings.budget->buffer_limit;
}

static inline bool ps_memory_is_short(const ps_loop *loop) {
    return ps_budget_is_short(loop->settings.budget);
}

/* Whether input that is not whole may have a buffer of `bytes`, `more` of which are to come. */
bool ps_memory_takes_input(
    const ps_loop *loop, const ps_connection *connection, uint64_t bytes, uint64_t more);

/* Whether somebody with so much to take may be read from. Who may not is looked at again when there
 * is memory. */
bool ps_memory_may_read(ps_loop *loop, uint32_t waiting_bytes);

/* Unsent bytes of one connection past which nothing is to be added. */
static inline uint32_t ps_memory_outbox_bytes(const ps_loop *loop, const ps_connection *connection) {
    uint32_t bytes = loop->settings.outbox_bytes;
    bool is_tight = bytes > PS_LEAN_OUTBOX_BYTES && !(connection->flags & PS_FLAG_OPS)
        && ps_memory_is_full(loop);
    return is_tight ? PS_LEAN_OUTBOX_BYTES : bytes;
}

void ps_memory_count_shed(ps_loop *loop, ps_shed what);

/* There is no room for what came of an unfinished request or message: answers 503 or closes with 1013,
 * and throws it away. Not while the inbox is being read. Calls: on_refused. */
void ps_memory_refuse_input(ps_loop *loop, ps_connection *connection);

/* It holds too much, and takes none of it: resets it. */
void ps_memory_let_go(ps_loop *loop, ps_connection *connection);

/* Once a tick: lets go of who holds too much for too long, and reads again from who had to wait
 * once it is not short any more. */
void ps_memory_tick(ps_loop *loop);

#endif
