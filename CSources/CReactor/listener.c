#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "budget.h"
#include "memory_bound.h"

enum { ACCEPT_COUNT = 64 }; /* per turn and listener: other sockets want to be served too */

/* An answer for somebody we have no room for, without reading what was asked; none where it would
 * take a TLS handshake first. Closing over input that is unread or still to come would replace the
 * answer by RST, so the socket waits among the farewells until a tick or two later; where they are
 * full, the oldest goes early. */
static void refuse(const ps_listener *listener, int fd, ps_limit limit) {
    ps_loop *loop = listener->loop;
    ps_bytes answer = loop->settings.overload_response;
    PS_COUNT(loop, refused, 1);
    PS_COUNT_LIMIT(loop, limit);
    if (answer.count == 0 || (loop->tls && listener->kind == PS_LISTENER_PUBLIC)) {
        close(fd);
        return;
    }
    PS_COUNT(loop, responses[5], 1);
    (void)send(fd, answer.start, answer.count, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    struct ps_farewells *farewells = &loop->farewells;
    if (farewells->count == PS_FAREWELLS_MAX) {
        ps_farewells_close(loop, 1);
    }
    farewells->fds[farewells->count++] = fd;
}

void ps_farewells_close(ps_loop *loop, uint32_t count) {
    struct ps_farewells *farewells = &loop->farewells;
    for (uint32_t i = 0; i < count; i++) {
        (void)recv(farewells->fds[i], loop->read_buffer, PS_READ_BUFFER_BYTES, MSG_DONTWAIT);
        close(farewells->fds[i]);
    }
    farewells->count -= count;
    farewells->old = farewells->old > count ? farewells->old - count : 0;
    memmove(farewells->fds, farewells->fds + count, farewells->count * sizeof farewells->fds[0]);
}

void ps_farewells_tick(ps_loop *loop) {
    ps_farewells_close(loop, loop->farewells.old);
    loop->farewells.old = loop->farewells.count;
}

static bool take_budget(ps_loop *loop) {
    ps_budget *budget = loop->settings.budget;
    return ps_budget_take(budget) || (ps_connection_make_room(loop) && ps_budget_take(budget));
}

static void greet(ps_listener *listener, int fd, const struct sockaddr_storage *peer) {
    ps_loop *loop = listener->loop;
    bool is_ops = listener->kind == PS_LISTENER_OPS;
    if (!is_ops && ps_memory_is_full(loop)) {
        PS_COUNT(loop, shed[PS_SHED_CONNECTIONS], 1);
        refuse(listener, fd, PS_LIMIT_BUFFERS);
        return;
    }
    if (!is_ops && !take_budget(loop)) {
        refuse(listener, fd, PS_LIMIT_CONNECTIONS);
        return;
    }
    if (!ps_connection_open(loop, fd, is_ops, peer)) {
        if (!is_ops) {
            ps_budget_give(loop->settings.budget);
        }
        refuse(listener, fd, PS_LIMIT_DESCRIPTORS);
    }
}

static void rest(ps_listener *listener) {
    listener->resting = true;
    uv_poll_stop(&listener->poll);
}

/* Out of descriptors the queue cannot be emptied and would wake the loop for ever. The one in
 * reserve is given up for a moment, so that who waits is answered rather than left hanging. */
static bool refuse_with_reserve(ps_listener *listener) {
    ps_loop *loop = listener->loop;
    if (loop->reserve_fd < 0) {
        return false;
    }
    close(loop->reserve_fd);
    ps_farewells_close(loop, loop->farewells.count); /* they hold descriptors, too */
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        refuse(listener, fd, PS_LIMIT_DESCRIPTORS);
    }
    loop->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

/* Accepts up to `limit`. */
static void accept_some(ps_listener *listener, int limit) {
    for (int i = 0; i < limit; i++) {
        struct sockaddr_storage peer;
        socklen_t peer_bytes = sizeof peer;
        int fd = accept4(
            listener->fd, (struct sockaddr *)&peer, &peer_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            greet(listener, fd, &peer);
            continue;
        }
        switch (errno) {
        case EAGAIN:
            return;
        case EMFILE:
        case ENFILE:
            if (!refuse_with_reserve(listener)) {
                rest(listener);
                return;
            }
            break;
        case ENOBUFS:
        case ENOMEM:
            rest(listener);
            return;
        default: /* of that one connection, gone before we came (accept(2), "Error handling") */
            break;
        }
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events) {
    ps_listener *listener = poll->data;
    (void)events;
    ps_loop_enter(listener->loop);
    if (status < 0) {
        rest(listener);
        return;
    }
    accept_some(listener, ACCEPT_COUNT);
}

void ps_listeners_retry(ps_loop *loop) {
    if (loop->reserve_fd < 0) {
        loop->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (ps_listener *listener = loop->listeners; listener; listener = listener->next) {
        if (listener->resting && !listener->closed) {
            listener->resting = uv_poll_start(&listener->poll, UV_READABLE, on_acceptable) != 0;
        }
    }
}

static void close_listener(ps_listener *listener) {
    if (listener->closed) {
        return;
    }
    listener->closed = true;
    uv_close((uv_handle_t *)&listener->poll, NULL);
    close(listener->fd);
}

void ps_listeners_drain(ps_loop *loop) {
    for (ps_listener *listener = loop->listeners; listener; listener = listener->next) {
        if (listener->kind == PS_LISTENER_PUBLIC && !listener->closed) {
            accept_some(listener, PS_ACCEPT_QUEUE_LENGTH);
            close_listener(listener);
        }
    }
}

void ps_listeners_close(ps_loop *loop) {
    for (ps_listener *listener = loop->listeners; listener; listener = listener->next) {
        close_listener(listener);
    }
}

void ps_listeners_free(ps_loop *loop) {
    while (loop->listeners) {
        ps_listener *listener = loop->listeners;
        loop->listeners = listener->next;
        free(listener);
    }
}

static bool parse_address(
    struct sockaddr_storage *out, socklen_t *out_bytes, const char *address, uint16_t port) {
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, address, &ipv4->sin_addr) == 1) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(port);
        *out_bytes = sizeof *ipv4;
        return true;
    }
    if (inet_pton(AF_INET6, address, &ipv6->sin6_addr) == 1) {
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons(port);
        *out_bytes = sizeof *ipv6;
        return true;
    }
    return false;
}

static uint16_t bound_port(int fd) {
    struct sockaddr_storage bound;
    socklen_t bytes = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &bytes) != 0) {
        return 0;
    }
    return ntohs(
        bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                    : ((struct sockaddr_in *)&bound)->sin_port);
}

int ps_loop_probe(ps_loop *loop, const char *address, uint16_t port) {
    struct sockaddr_storage local;
    socklen_t local_bytes;
    if (!parse_address(&local, &local_bytes, address, port)) {
        return ps_loop_fail(loop, "read the address", EINVAL);
    }
    int fd = socket(local.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ps_loop_fail(loop, "socket", errno);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    int error = bind(fd, (struct sockaddr *)&local, local_bytes) == 0 ? 0 : errno;
    close(fd);
    return error == 0 ? PS_OK : ps_loop_fail(loop, "bind", error);
}

int ps_loop_listen(ps_loop *loop, const char *address, uint16_t *port, ps_listener_kind kind) {
    struct sockaddr_storage local;
    socklen_t local_bytes;
    if (!parse_address(&local, &local_bytes, address, *port)) {
        return ps_loop_fail(loop, "read the address", EINVAL);
    }
    ps_listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        return ps_loop_fail(loop, "allocate a listener", ENOMEM);
    }
    const char *what = "socket";
    int error = 0;
    int fd = socket(local.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error = errno;
        goto fail;
    }
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
        || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
        what = "setsockopt";
        error = errno;
        goto fail;
    }
    if (bind(fd, (struct sockaddr *)&local, local_bytes) != 0) {
        what = "bind";
        error = errno;
        goto fail;
    }
    if (listen(fd, PS_ACCEPT_QUEUE_LENGTH) != 0) {
        what = "listen";
        error = errno;
        goto fail;
    }
    what = "poll";
    error = -uv_poll_init(&loop->uv, &listener->poll, fd);
    if (error != 0) {
        goto fail;
    }
    listener->fd = fd;
    listener->kind = (uint8_t)kind;
    listener->loop = loop;
    listener->poll.data = listener;
    listener->next = loop->listeners;
    loop->listeners = listener;
    error = -uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
    if (error != 0) {
        close_listener(listener); /* freed with the others */
        return ps_loop_fail(loop, what, error);
    }
    *port = bound_port(fd);
    return PS_OK;

fail:
    if (fd >= 0) {
        close(fd);
    }
    free(listener);
    return ps_loop_fail(loop, what, error);
}
