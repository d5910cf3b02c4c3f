/* One non-blocking client connection: bytes in and out, nothing of what they mean. Private. */
#ifndef LD_PEER_H
#define LD_PEER_H

#include "frame.h"
#include "target.h"

enum {
    LD_READ_BUFFER_BYTES = 256 * 1024, /* one for all connections */
    LD_EVENTS_MAX = 512,
    LD_WAIT_NS_MAX = 100000000, /* a wait ends here at the latest, to look for Ctrl-C */
};

typedef struct ld_peer {
    uint8_t *carry; /* begin of a message whose end has not come; NULL most of the time */
    uint32_t carry_bytes;
    int fd; /* -1: closed */
} ld_peer;

/* Begins to connect connection number `index` and adds it to `epoll`, edge-triggered both ways,
 * with `tag` as its data. Returns: 0, or a negated errno. */
int ld_peer_connect(ld_peer *peer, const ld_target *target, int index, int epoll, uint64_t tag);

/* Blocks until the connection stands. Returns whether it does, at `until_ns` the latest. */
bool ld_peer_await_connected(const ld_peer *peer, uint64_t until_ns);

/* Reads what is there into `buffer`, behind what was carried over.
 *
 * `*drained` says that the kernel has no more for now.
 * Returns: bytes in the buffer, 0 when nothing came, or LD_LOST at end of file or an error. */
int ld_peer_read(ld_peer *peer, uint8_t *buffer, bool *drained);

/* Carries the last `count` bytes, which are the begin of something, over to the next read. */
void ld_peer_carry(ld_peer *peer, const uint8_t *bytes, size_t count);

/* Closes with a reset: no TIME_WAIT is left behind, so runs follow each other without running out
 * of ports. Safe to call twice. */
void ld_peer_close(ld_peer *peer);

/* Waits until an event or `until_ns`, at most LD_WAIT_NS_MAX. Returns the number of events. */
struct epoll_event;
int ld_wait(int epoll, struct epoll_event *events, uint64_t now_ns, uint64_t until_ns);

#endif
