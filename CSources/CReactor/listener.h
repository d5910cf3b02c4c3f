#ifndef PS_LISTENER_H
#define PS_LISTENER_H

#include "loop.h"

struct ps_listener {
    uv_poll_t poll;
    ps_listener *next;
    ps_loop *loop;
    int fd;
    uint8_t kind;
    bool resting; /* out of descriptors: started again by the next tick */
    bool closed;
};

/* Starts what rested. */
void ps_listeners_retry(ps_loop *loop);

/* Accepts what waits on the public listeners, then closes them. */
void ps_listeners_drain(ps_loop *loop);

void ps_listeners_close(ps_loop *loop);

/* After the loop's last turn: their memory. */
void ps_listeners_free(ps_loop *loop);

#endif
