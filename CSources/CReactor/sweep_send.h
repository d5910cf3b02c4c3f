/* How a slice of a sweep reaches the kernel. A slice is handed over whole, so that a way that
 * submits many sends at once fits behind the same function. */
#ifndef PS_SWEEP_SEND_H
#define PS_SWEEP_SEND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { PS_MESSAGE_PARTS = 3 };

/* What one subscriber gets; many items share one. */
struct ps_sweep_message {
    struct iovec parts[PS_MESSAGE_PARTS];
    uint32_t part_count;
    uint32_t bytes; /* of all parts */
};

struct ps_sweep_item {
    const struct ps_sweep_message *message;
    int32_t fd;
    int32_t taken;     /* out: bytes the kernel took, or -errno */
    uint32_t position; /* the caller's */
};

/* Sends each item once, never waits, and fills in `taken` of all of them before it returns. */
typedef void ps_sweep_send(void *context, struct ps_sweep_item *items, size_t count);

/* One send or sendmsg each; context is not used. */
ps_sweep_send ps_sweep_send_each;

#endif
