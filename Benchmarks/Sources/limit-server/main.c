/* pollstream-limit-send: what a fan-out costs when there is nothing but the system calls.
 *
 * Bare epoll, accept4, the handshake, and on each change one send() of the same bytes to every
 * socket of a dense array; with --uring the sends are submitted to io_uring, 256 a system call, and
 * waited for. It speaks the few requests of the wire contract that the load generator
 * makes, so both servers meet the very same client:
 *
 *   GET /ws/polls/1/       101, a snapshot, and from then on every tally
 *   POST /votes/           fans out when it names poll 1, then answers 201
 *   POST /polls/           201; ids 1, 2, …
 *   GET /polls/1/results/  the number of votes
 *
 * It keeps nothing, checks nothing and never retries: a full socket misses the frame (counted, and
 * said at the end). A limit to compare with, not a server to copy. */
#include "answers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 512, BACKLOG = 4096, READ_BUFFER_BYTES = 64 * 1024, RING_ENTRIES = 256 };

static const int32_t NOT_SUBSCRIBED = -1;

typedef struct server {
    int listener;
    int epoll;
    int *subscribers; /* dense: a departure is filled by the last one */
    int32_t *places;  /* by descriptor: its index in `subscribers` */
    int subscriber_count;
    answers answers;
    uint64_t missed_count;
    bool uses_ring;
    struct io_uring ring;
    uint8_t buffer[READ_BUFFER_BYTES];
} server;

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static void fan_out_by_ring(server *s)
{
    for (int start = 0; start < s->subscriber_count; start += RING_ENTRIES) {
        int rest = s->subscriber_count - start;
        unsigned count = (unsigned)(rest < RING_ENTRIES ? rest : RING_ENTRIES);
        for (unsigned i = 0; i < count; i++)
            io_uring_prep_send(
                io_uring_get_sqe(&s->ring), s->subscribers[start + (int)i], s->answers.tally,
                s->answers.tally_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (io_uring_submit_and_wait(&s->ring, count) != (int)count)
            abort(); /* a limit that is not reached is none */
        struct io_uring_cqe *completions[RING_ENTRIES];
        count = io_uring_peek_batch_cqe(&s->ring, completions, count);
        for (unsigned i = 0; i < count; i++)
            if (completions[i]->res != (int)s->answers.tally_bytes)
                s->missed_count++;
        io_uring_cq_advance(&s->ring, count);
    }
}

static void fan_out(server *s)
{
    if (s->uses_ring) {
        fan_out_by_ring(s);
        return;
    }
    const uint8_t *frame = s->answers.tally;
    size_t frame_bytes = s->answers.tally_bytes;
    int count = s->subscriber_count;
    for (int i = 0; i < count; i++) {
        ssize_t sent = send(s->subscribers[i], frame, frame_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent != (ssize_t)frame_bytes)
            s->missed_count++;
    }
}

static void subscribe(server *s, int fd)
{
    s->places[fd] = s->subscriber_count;
    s->subscribers[s->subscriber_count++] = fd;
}

static void drop(server *s, int fd)
{
    int32_t place = s->places[fd];
    if (place != NOT_SUBSCRIBED) {
        int last = s->subscribers[--s->subscriber_count];
        s->subscribers[place] = last;
        s->places[last] = place;
        s->places[fd] = NOT_SUBSCRIBED;
    }
    close(fd);
}

static void accept_all(server *s)
{
    for (;;) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
            close(fd);
    }
}

static void on_readable(server *s, int fd)
{
    ssize_t count = recv(fd, s->buffer, sizeof s->buffer - 1, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        drop(s, fd);
        return;
    }
    if (s->places[fd] != NOT_SUBSCRIBED)
        return; /* a pong, a close: the reset that follows is what we act on */
    s->buffer[count] = 0;

    char answer[ANSWER_BYTES_MAX];
    size_t answer_bytes = 0;
    switch (answers_for(&s->answers, (const char *)s->buffer, answer, &answer_bytes)) {
    case REQUEST_REFUSED: drop(s, fd); return;
    case REQUEST_SUBSCRIBES: subscribe(s, fd); break;
    case REQUEST_CHANGES: fan_out(s); break;
    case REQUEST_OTHER: break;
    }
    if (send(fd, answer, answer_bytes, MSG_NOSIGNAL) != (ssize_t)answer_bytes)
        drop(s, fd);
}

static void serve(server *s)
{
    struct epoll_event events[EVENTS_MAX];
    while (!stopped) {
        int count = epoll_wait(s->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == s->listener)
                accept_all(s);
            else
                on_readable(s, events[i].data.fd);
        }
    }
}

/* Listens on loopback. Returns the port, or -1. */
static int listen_on(server *s, int port)
{
    int on = 1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Inherited by what is accepted: a frame must not wait for the ACK of the one before. */
    setsockopt(s->listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof address;
    if (bind(s->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(s->listener, BACKLOG) < 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &length) < 0)
        return -1;
    struct epoll_event event = { .events = EPOLLIN, .data.fd = s->listener };
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &event) < 0)
        return -1;
    return ntohs(address.sin_port);
}

static rlim_t raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

static int usage(void)
{
    fprintf(
        stderr, "usage: pollstream-limit-send [--port N] [--frame-bytes N] [--snapshot-bytes N]\n"
                "       [--uring]\n"
                "frames: %d to %d bytes, headers included\n",
        TALLY_BYTES_MIN, FRAME_BYTES_MAX);
    return 64;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },
        { "frame-bytes", required_argument, NULL, 'f' },
        { "snapshot-bytes", required_argument, NULL, 's' },
        { "uring", no_argument, NULL, 'u' },
        { 0 },
    };
    static server s;
    int port = 0, frame_bytes = 200, snapshot_bytes = 600;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'f': frame_bytes = atoi(optarg); break;
        case 'u': s.uses_ring = true; break;
        case 's': snapshot_bytes = atoi(optarg); break;
        default: return usage();
        }
    }
    if (optind < argc || !answers_prepare(&s.answers, frame_bytes, snapshot_bytes))
        return usage();

    struct sigaction stop = { .sa_handler = on_stop };
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    rlim_t descriptors = raise_descriptor_limit();
    s.subscribers = calloc(descriptors, sizeof *s.subscribers);
    s.places = malloc(descriptors * sizeof *s.places);
    port = s.subscribers && s.places ? listen_on(&s, port) : -1;
    if (s.uses_ring && (errno = -io_uring_queue_init(RING_ENTRIES, &s.ring, 0)) != 0)
        port = -1;
    if (port < 0) {
        perror("pollstream-limit-send");
        return 1;
    }
    for (rlim_t i = 0; i < descriptors; i++)
        s.places[i] = NOT_SUBSCRIBED;
    fprintf(stderr, "listening on http://127.0.0.1:%d\n", port);
    serve(&s);
    if (s.missed_count > 0)
        fprintf(stderr, "%llu frames found a full socket\n", (unsigned long long)s.missed_count);
    return 0;
}
