#include "driven_loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "budget.h"
#include "connection.h"

/* libuv is left its sockets, its wake-up and what closes. Its timers would run by the machine's
 * clock, so that they are stopped and called from here; so is the end of a turn, which would end
 * before the sockets are looked at and let the machine's clock be read for them. */
static void begin_turn(ps_loop *loop, uint64_t now_ns, int64_t unix_ms) {
    loop->in_turn = true;
    loop->now_ns = now_ns;
    loop->unix_ms = unix_ms;
}

void ps_driven_begin(ps_loop *loop, uint64_t now_ns, int64_t unix_ms) {
    uv_prepare_stop(&loop->turn);
    uv_timer_stop(&loop->tick);
    begin_turn(loop, now_ns, unix_ms);
    loop->wheel.now = ps_deadline_step(loop, 0) - 1;
}

int ps_driven_connect(ps_loop *loop) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
        return -1;
    }
    struct sockaddr_storage peer;
    memset(&peer, 0, sizeof peer);
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)&peer;
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = htons(1024);
    ipv4->sin_addr.s_addr = htonl(0xc0000201);
    bool has_room = ps_budget_take(loop->settings.budget);
    if (has_room && ps_connection_open(loop, ends[0], false, &peer)) {
        return ends[1];
    }
    if (has_room) {
        ps_budget_give(loop->settings.budget);
    }
    close(ends[0]);
    close(ends[1]);
    return -1;
}

uint64_t ps_driven_due_ns(const ps_loop *loop) {
    const ps_topic *first = loop->sweeps.cooling.first;
    return first ? first->started_ns + loop->settings.tick_ns : UINT64_MAX;
}

bool ps_driven_turn(ps_loop *loop, uint64_t now_ns, int64_t unix_ms, bool ticks) {
    begin_turn(loop, now_ns, unix_ms);
    if (ticks) {
        loop->tick.timer_cb(&loop->tick);
    }
    if (ps_driven_due_ns(loop) <= now_ns) {
        loop->sweeps.timer.timer_cb(&loop->sweeps.timer);
    }
    uv_timer_stop(&loop->sweeps.timer);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    loop->turn.prepare_cb(&loop->turn);
    return uv_is_active((uv_handle_t *)&loop->restless);
}
