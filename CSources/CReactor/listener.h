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

/* Once a tick: closes the refused sockets that have had a tick to be read. */
void ps_farewells_tick(ps_loop *loop);

/* Closes the `count` oldest of them now. */
void ps_farewells_close(ps_loop *loop, uint32_t count);

/* Accepts what waits on the public listeners, then closes them. */
void ps_listeners_drain(ps_loop *loop);

void ps_listeners_close(ps_loop *loop);

/* After the loop's last turn: their memory. */
void ps_listeners_free(ps_loop *loop);

#endif
