#include "peer.h"

#include "machine.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int bind_source(int fd, const ld_target *target, int index)
{
    if (target->source_address_count == 0 || target->address >> 24 != 127)
        return 0;
    /* Without this option bind() takes a port at once, unique for the address: 28,000 in all.
     * With it connect() takes one that is unique for the pair of endpoints. */
    int on = 1;
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0)
        return -errno;
    uint32_t last = 2 + (uint32_t)index % target->source_address_count;
    struct sockaddr_in source = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl((127u << 24) + last),
    };
    return bind(fd, (struct sockaddr *)&source, sizeof source) < 0 ? -errno : 0;
}

int ld_peer_connect(ld_peer *peer, const ld_target *target, int index, int epoll, uint64_t tag)
{
    *peer = (ld_peer){ .fd = -1 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int result = bind_source(fd, target, index);
    if (result < 0)
        goto failed;
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(target->port),
        .sin_addr.s_addr = htonl(target->address),
    };
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        result = -errno;
        goto failed;
    }
    /* Edge-triggered, so that one epoll_ctl serves the connection for its whole life. */
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.u64 = tag,
    };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        result = -errno;
        goto failed;
    }
    peer->fd = fd;
    return 0;
failed:
    close(fd);
    return result;
}

bool ld_peer_await_connected(const ld_peer *peer, uint64_t until_ns)
{
    struct pollfd one = { .fd = peer->fd, .events = POLLOUT };
    int ready = 0;
    while (ready == 0 && !ld_interrupted() && ld_now_ns() < until_ns)
        ready = poll(&one, 1, 100);
    int error = 0;
    socklen_t length = sizeof error;
    return ready > 0 && getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 &&
           error == 0;
}

int ld_peer_read(ld_peer *peer, uint8_t *buffer, bool *drained)
{
    size_t carried = peer->carry_bytes;
    assert(carried < LD_READ_BUFFER_BYTES);
    size_t room = LD_READ_BUFFER_BYTES - carried;
    ssize_t count = recv(peer->fd, buffer + carried, room, 0);
    *drained = count < (ssize_t)room;
    if (count == 0)
        return LD_LOST;
    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : LD_LOST;
    if (carried > 0) {
        memcpy(buffer, peer->carry, carried);
        free(peer->carry);
        peer->carry = NULL;
        peer->carry_bytes = 0;
    }
    return (int)(carried + (size_t)count);
}

void ld_peer_carry(ld_peer *peer, const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return;
    peer->carry = malloc(count);
    if (!peer->carry)
        abort(); /* a load generator out of memory has no result to save */
    memcpy(peer->carry, bytes, count);
    peer->carry_bytes = (uint32_t)count;
}

void ld_peer_close(ld_peer *peer)
{
    if (peer->fd < 0)
        return;
    struct linger reset = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(peer->fd);
    free(peer->carry);
    *peer = (ld_peer){ .fd = -1 };
}

int ld_wait(int epoll, struct epoll_event *events, uint64_t now_ns, uint64_t until_ns)
{
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    if (wait_ns > LD_WAIT_NS_MAX)
        wait_ns = LD_WAIT_NS_MAX;
    struct timespec timeout = { .tv_sec = 0, .tv_nsec = (long)wait_ns };
    int count = epoll_pwait2(epoll, events, LD_EVENTS_MAX, &timeout, NULL);
    return count < 0 ? 0 : count; /* EINTR is the only error a valid epoll gives */
}
