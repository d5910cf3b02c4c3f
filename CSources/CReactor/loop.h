/* One event loop: what its parts share. Everything here belongs to the loop's thread; the counters
 * alone are read by others. */
#ifndef PS_LOOP_H
#define PS_LOOP_H

#include <assert.h>
#include <creactor.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <uv.h>

#include "deadline.h"
#include "deflate.h"
#include "sweep.h"

enum {
    PS_READ_BUFFER_BYTES = 64 << 10,
    PS_FAREWELLS_MAX = 64, /* descriptors kept for refused connections */
    PS_TURN_EVENTS = 512,
    PS_WORK_FRAMES = 1024,
    PS_WORK_INFLATED = 256 << 10,
    PS_TICK_MS = 100, /* on_tick, and how often the wheel of deadlines is looked at */
    PS_DATE_BYTES = 37, /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
};

typedef struct ps_connection ps_connection;
typedef struct ps_outbox ps_outbox;
typedef struct ps_listener ps_listener;

/* A list of connections linked through one of their fields, by slot + 1; 0 ends it. */
struct ps_slot_list {
    uint32_t first, last;
};

enum { PS_COUNTER_COUNT = sizeof(ps_statistics) / sizeof(uint64_t) };

struct ps_loop {
    ps_loop_settings settings;
    ps_callbacks callbacks;
    void *context;

    uv_loop_t uv;
    uv_prepare_t turn;  /* the end of a turn: runs just before the loop would sleep */
    uv_idle_t restless; /* active while work is left over, so that the loop does not sleep */
    uv_async_t wake;
    uv_timer_t tick;

    /* The clocks are read once per turn, when its first event arrives. */
    uint64_t now_ns;
    int64_t unix_ms;
    bool in_turn;
    uint32_t turn_events; /* of sockets, so far in this turn */
    bool draining;
    bool running;
    uint64_t tick_due_ns; /* 0 before the first */
    pthread_t thread; /* valid while running */

    ps_listener *listeners;
    struct ps_farewells {
        int fds[PS_FAREWELLS_MAX]; /* answered and shut down, oldest first */
        uint32_t count;
        uint32_t old; /* those that the last tick found here */
    } farewells;
    int reserve_fd; /* given up at EMFILE, so that the connection can be answered; -1 if lost */

    struct ps_slots {
        ps_connection **chunks;
        uint64_t *busy; /* one bit a slot: its next frame must go through ps_connection_flush */
        uint32_t chunk_count;
        uint32_t free; /* slot + 1 of the first free one */
        uint32_t open; /* taken slots */
    } slots;

    uint32_t room_cursor; /* the last slot that room.c looked at */

    struct ps_slot_list todo;  /* callbacks and closes owed, see connection.h */
    struct ps_slot_list dirty; /* outboxes to be sent at the end of this turn */

    ps_connection *requester; /* inside on_request: whose */

    ps_tls *tls;                  /* for the next handshake; NULL: no TLS */
    struct ps_tls_pipe *tls_pipe; /* of all connections */
    uint64_t handshake_ns;        /* spent on handshakes in this turn */

    struct ps_wheel wheel;
    struct ps_sweeps sweeps;

    bool reads_wait; /* somebody is not read from for want of memory, see memory_bound.h */
    uint32_t slow_looked; /* step of the wheel: for who holds much for long while memory is short */

    ps_outbox *spare_outboxes;
    uint32_t spare_outbox_count;

    ps_deflate *codec; /* of all connections; NULL until one agrees on permessage-deflate */

    struct ps_work { /* done for one connection in one go */
        uint32_t frames;
        size_t inflated;
    } work;

    uint8_t *read_buffer;
    ps_http_head head; /* of the request being looked at */
    int64_t date_unix_s;
    char date[PS_DATE_BYTES + 1];

    char error[192];
    _Atomic uint64_t counters[PS_COUNTER_COUNT];
};

/* Adds to a field of ps_statistics. One thread writes, so a plain load and store will do: no
 * locked instruction, and readers never see half a number. */
#define PS_COUNT(loop, field, amount)                                                              \
    ps_counter_add(&(loop)->counters[offsetof(ps_statistics, field) / sizeof(uint64_t)], (amount))

static inline void ps_counter_add(_Atomic uint64_t *counter, uint64_t amount) {
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + amount, memory_order_relaxed);
}

#define PS_COUNT_MAX(loop, field, value)                                                           \
    ps_counter_max(&(loop)->counters[offsetof(ps_statistics, field) / sizeof(uint64_t)], (value))

static inline void ps_counter_max(_Atomic uint64_t *counter, uint64_t value) {
    if (value > atomic_load_explicit(counter, memory_order_relaxed)) {
        atomic_store_explicit(counter, value, memory_order_relaxed);
    }
}

/* Counts a duration in a field of ps_statistics. */
#define PS_OBSERVE(loop, field, ns)                                                                \
    ps_durations_observe(                                                                          \
        &(loop)->counters[offsetof(ps_statistics, field) / sizeof(uint64_t)], (ns))

void ps_durations_observe(_Atomic uint64_t *counters, uint64_t ns);

#define PS_COUNT_LIMIT(loop, limit) PS_COUNT(loop, limits[limit], 1)

static inline uint64_t ps_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Every event starts with this: it begins the turn if none is under way. */
void ps_loop_enter(ps_loop *loop);

/* An event of a socket ends with this: the turn ends after so many, because libuv takes up to 49,152
 * before it comes to that by itself. Nothing of a connection is used after it. Calls: everything. */
void ps_loop_leave(ps_loop *loop);

/* What one peer sends at once may cost a thousand times as much as it is long: 64 KiB of compressed
 * messages are 48 MB. So there is a bound, and the rest waits for the next turn. */
static inline void ps_work_begin(ps_loop *loop) {
    loop->work = (struct ps_work){0};
}

static inline bool ps_work_is_done(const ps_loop *loop) {
    return loop->work.frames >= PS_WORK_FRAMES || loop->work.inflated >= PS_WORK_INFLATED;
}

/* Stores "what: strerror(error)" for ps_loop_error_text; returns PS_SYSTEM. */
int ps_loop_fail(ps_loop *loop, const char *what, int error);

/* Compresses a message, and counts. `*out` is valid until the next call. Returns false, and leaves
 * `*out` alone, where that is of no use. */
bool ps_loop_deflate(ps_loop *loop, const uint8_t *bytes, size_t count, ps_bytes *out);

/* "Date: …\r\n" of this second. */
const char *ps_loop_date(ps_loop *loop);

static inline bool ps_slot_is_busy(const ps_loop *loop, uint32_t slot) {
    return loop->slots.busy[slot / 64] >> (slot % 64) & 1;
}

#ifdef NDEBUG
#define PS_ASSERT_THREAD(loop) ((void)(loop))
#else
#define PS_ASSERT_THREAD(loop) ps_loop_assert_thread(loop)
#endif

#endif
