/* The way of sweep_send.h that submits a slice to io_uring. */
#ifndef PS_SWEEP_URING_H
#define PS_SWEEP_URING_H

#include "sweep_send.h"

struct ps_uring;

/* Thread: any; used by one at a time. Returns: NULL where the kernel refuses, with errno set. */
struct ps_uring *ps_uring_create(void);
void ps_uring_destroy(struct ps_uring *ring);

/* context: a struct ps_uring. */
ps_sweep_send ps_sweep_send_uring;

#endif
