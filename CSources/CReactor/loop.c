/* A turn of the loop:
 *
 *   sleep ─► events: reads, accepts, on_wake ─► uv_close'd slots are freed ─► timers: on_tick
 *     ▲                                                                            │
 *     └── sends: sweeps, then outboxes ◄── callbacks owed: on_close, resumed input ◄┘
 *
 * The lower row is end_turn, in a uv_prepare_t: libuv runs it just before it would sleep, after
 * everything else a turn may do; after many events of sockets it comes sooner. What it leaves undone
 * keeps the loop from sleeping. */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "listener.h"
#include "memory_bound.h"
#include "outbox.h"
#include "tls.h"

static void read_clocks(ps_loop *loop) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    loop->unix_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    loop->now_ns = ps_monotonic_ns();
}

void ps_loop_enter(ps_loop *loop) {
    if (!loop->in_turn) {
        loop->in_turn = true;
        loop->handshake_ns = 0;
        loop->turn_events = 0;
        read_clocks(loop);
    }
}

static void on_restless(uv_idle_t *idle) {
    ps_loop_enter(idle->loop->data);
}

static void end_turn(ps_loop *loop) {
    ps_loop_enter(loop);
    ps_connection_run_todo(loop);
    bool sweeping = ps_sweeps_run(loop); /* before the outboxes: both leave in one write */
    ps_outbox_flush_dirty(loop);
    if (sweeping || loop->todo.first != 0 || loop->dirty.first != 0) {
        uv_idle_start(&loop->restless, on_restless);
    } else {
        uv_idle_stop(&loop->restless);
    }
    uint64_t took_ns = ps_monotonic_ns() - loop->now_ns;
    PS_COUNT_MAX(loop, turn_ns_max, took_ns);
    PS_OBSERVE(loop, turns, took_ns);
    loop->in_turn = false;
}

void ps_loop_leave(ps_loop *loop) {
    if (++loop->turn_events >= PS_TURN_EVENTS) {
        end_turn(loop);
    }
}

static void on_prepare(uv_prepare_t *prepare) {
    end_turn(prepare->loop->data);
}

static void on_async(uv_async_t *async) {
    ps_loop *loop = async->loop->data;
    ps_loop_enter(loop);
    loop->callbacks.on_wake(loop->context);
}

/* Not by the clock of the turn, which stands still while the turn holds the timer up. libuv sets the
 * timer again from its own clock, in whole milliseconds. */
static void observe_lag(ps_loop *loop) {
    uint64_t now_ns = ps_monotonic_ns(), due_ns = loop->tick_due_ns;
    if (due_ns != 0) {
        PS_OBSERVE(loop, lags, now_ns > due_ns ? now_ns - due_ns : 0);
    }
    loop->tick_due_ns = (uv_now(&loop->uv) + PS_TICK_MS) * 1000000;
}

static uint64_t cpu_ns(const ps_loop *loop) {
    if (!loop->running) {
        return 0; /* it is driven, by a clock of its own */
    }
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static void on_timer(uv_timer_t *timer) {
    ps_loop *loop = timer->loop->data;
    ps_loop_enter(loop);
    observe_lag(loop);
    ps_farewells_tick(loop);
    ps_listeners_retry(loop);
    ps_deadline_run(loop, cpu_ns(loop));
    ps_memory_tick(loop);
    loop->callbacks.on_tick(loop->context, loop->now_ns);
}

/* ---- Life ---- */

static int start_handles(ps_loop *loop) {
    int error = uv_prepare_init(&loop->uv, &loop->turn);
    error = error ? error : uv_idle_init(&loop->uv, &loop->restless);
    error = error ? error : uv_timer_init(&loop->uv, &loop->tick);
    error = error ? error : uv_timer_init(&loop->uv, &loop->sweeps.timer);
    error = error ? error : uv_async_init(&loop->uv, &loop->wake, on_async);
    error = error ? error : uv_prepare_start(&loop->turn, on_prepare);
    return error ? error : uv_timer_start(&loop->tick, on_timer, PS_TICK_MS, PS_TICK_MS);
}

static bool take_tls(ps_loop *loop) {
    if (!loop->settings.tls) {
        return true;
    }
    ps_tls_retain(loop->settings.tls);
    loop->tls = loop->settings.tls;
    loop->tls_pipe = ps_tls_pipe_create();
    return loop->tls_pipe != NULL;
}

void ps_loop_use_tls(ps_loop *loop, ps_tls *tls) {
    PS_ASSERT_THREAD(loop);
    assert(loop->tls); /* a listener does not change what it speaks */
    ps_tls_retain(tls);
    ps_tls_release(loop->tls);
    loop->tls = tls;
}

static bool copy_overload_response(ps_loop *loop) {
    ps_bytes *response = &loop->settings.overload_response;
    if (response->count == 0) {
        response->start = NULL; /* the caller's pointer is not ours to free */
        return true;
    }
    uint8_t *copy = malloc(response->count);
    if (copy) {
        memcpy(copy, response->start, response->count);
    }
    response->start = copy;
    return copy != NULL;
}

int ps_loop_create(
    ps_loop **out, const ps_loop_settings *settings, const ps_callbacks *callbacks,
    void *context) {
    ps_loop *loop = calloc(1, sizeof *loop);
    if (!loop) {
        return PS_SYSTEM;
    }
    loop->settings = *settings;
    loop->callbacks = *callbacks;
    loop->context = context;
    loop->reserve_fd = -1;
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return PS_SYSTEM;
    }
    loop->uv.data = loop;
    read_clocks(loop);
    loop->wheel.now = ps_deadline_step(loop, 0) - 1;
    loop->read_buffer = malloc(PS_READ_BUFFER_BYTES);
    loop->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool copied = ps_proxy_copy_networks(&loop->settings);
    bool ringed = ps_sweeps_init(&loop->sweeps, settings->uses_uring);
    bool secured = take_tls(loop);
    if (!ringed || !secured || !copy_overload_response(loop) || !copied || !loop->read_buffer
        || start_handles(loop) != 0) {
        ps_loop_destroy(loop);
        return PS_SYSTEM;
    }
    *out = loop;
    return PS_OK;
}

void ps_loop_run(ps_loop *loop) {
    loop->thread = pthread_self();
    loop->running = true;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    end_turn(loop); /* of the turn that stopped it */
    loop->running = false;
}

void ps_loop_stop(ps_loop *loop) {
    PS_ASSERT_THREAD(loop);
    uv_stop(&loop->uv);
}

void ps_loop_wake(ps_loop *loop) {
    (void)uv_async_send(&loop->wake); /* fails only once closed */
}

static void close_any(uv_handle_t *handle, void *context) {
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void ps_loop_destroy(ps_loop *loop) {
    assert(!loop->running);
    for (uint32_t slot = 0; slot < ps_slots_capacity(loop); slot++) {
        ps_connection *connection = ps_slot_at(loop, slot);
        if (connection->state != PS_STATE_FREE) {
            ps_connection_abandon(loop, connection);
        }
    }
    ps_listeners_close(loop);
    ps_farewells_close(loop, loop->farewells.count);
    uv_walk(&loop->uv, close_any, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* the close callbacks: nothing else is left */
    int busy = uv_loop_close(&loop->uv);
    assert(busy == 0);
    (void)busy;
    ps_listeners_free(loop);
    ps_slots_destroy(loop);
    ps_outbox_destroy_spares(loop);
    ps_sweeps_destroy(&loop->sweeps);
    ps_deflate_destroy(loop->codec);
    ps_tls_pipe_destroy(loop->tls_pipe);
    if (loop->tls) {
        ps_tls_release(loop->tls);
    }
    if (loop->reserve_fd >= 0) {
        close(loop->reserve_fd);
    }
    free((void *)loop->settings.overload_response.start);
    free((void *)loop->settings.trusted);
    free(loop->read_buffer);
    free(loop);
}

void ps_loop_begin_drain(ps_loop *loop) {
    PS_ASSERT_THREAD(loop);
    if (loop->draining) {
        return;
    }
    loop->draining = true;
    ps_listeners_drain(loop);
    for (uint32_t slot = 0; slot < ps_slots_capacity(loop); slot++) {
        ps_connection *connection = ps_slot_at(loop, slot);
        bool is_idle = connection->state == PS_STATE_OPEN && connection->kind == PS_KIND_HTTP
            && !(connection->flags & PS_FLAG_OPS) && ps_http_unanswered(connection) == 0
            && !connection->rare;
        if (!is_idle) {
            continue; /* its next answer says Connection: close */
        }
        if (connection->next_sequence > 0) {
            ps_connection_finish(loop, connection);
        } else {
            /* It may have asked already: time for one request. */
            ps_deadline_set(
                loop, connection, PS_DEADLINE_IDLE, loop->settings.close_timeout_ms);
        }
    }
}

/* ---- Small things ---- */

uint64_t ps_loop_now_ns(const ps_loop *loop) {
    return loop->now_ns;
}

void ps_loop_assert_thread(const ps_loop *loop) {
    assert(!loop->running || pthread_equal(loop->thread, pthread_self()));
    (void)loop;
}

int ps_loop_fail(ps_loop *loop, const char *what, int error) {
    char text[128];
    const char *reason = strerror_r(error, text, sizeof text); /* GNU: may not use `text` */
    snprintf(loop->error, sizeof loop->error, "%s: %s", what, reason);
    return PS_SYSTEM;
}

const char *ps_loop_error_text(const ps_loop *loop) {
    return loop->error;
}

bool ps_loop_deflate(ps_loop *loop, const uint8_t *bytes, size_t count, ps_bytes *out) {
    ps_bytes deflated;
    if (!ps_deflate_message(loop->codec, bytes, count, &deflated)) {
        return false;
    }
    PS_COUNT(loop, messages_deflated, 1);
    PS_COUNT(loop, bytes_before_deflate, count);
    PS_COUNT(loop, bytes_after_deflate, deflated.count);
    *out = deflated;
    return true;
}

const char *ps_loop_date(ps_loop *loop) {
    int64_t second = loop->unix_ms / 1000;
    if (second != loop->date_unix_s) {
        time_t time = (time_t)second;
        struct tm parts;
        gmtime_r(&time, &parts);
        /* English names in every locale: the process never calls setlocale. */
        strftime(
            loop->date, sizeof loop->date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
        loop->date_unix_s = second;
    }
    return loop->date;
}
