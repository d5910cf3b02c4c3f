/* The schedule of sweeps of one loop; the picture is in sweep.c. */
#ifndef PS_SWEEP_H
#define PS_SWEEP_H

#include <creactor.h>
#include <uv.h>

#include "sweep_uring.h"

enum { PS_SLICE_MAX = 256 }; /* subscribers handed to the kernel in one piece */

struct ps_topic_list {
    ps_topic *first, *last;
};

struct ps_sweeps {
    struct ps_topic_list ready;     /* to begin at the end of this turn */
    struct ps_topic_list under_way; /* round robin */
    struct ps_topic_list cooling;   /* began less than a tick ago, oldest first */
    uint32_t under_way_count;
    uv_timer_t timer; /* for the first of cooling */
    ps_sweep_send *send;
    struct ps_uring *ring; /* what `send` is given; NULL for the plain way */
    struct ps_sweep_item items[PS_SLICE_MAX];
};

/* Returns false where a ring is wanted and the kernel has none to give. */
bool ps_sweeps_init(struct ps_sweeps *sweeps, bool wants_ring);
void ps_sweeps_destroy(struct ps_sweeps *sweeps);

/* Begins what is ready and serves one slice. Returns whether there is more to do next turn. */
bool ps_sweeps_run(ps_loop *loop);

/* After a publish: finds out when the topic's next sweep is to begin. */
void ps_sweep_schedule(ps_topic *topic);

/* Takes a topic that goes away off the schedule. */
void ps_sweep_cancel(ps_topic *topic);

#endif
