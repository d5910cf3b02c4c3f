/* A loop of CReactor that is turned by hand, in a time that its caller makes up, with connections
 * that are pairs of sockets: the same calls in the same order come to the same. */
#ifndef PS_DRIVEN_LOOP_H
#define PS_DRIVEN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct ps_loop;

/* Takes a loop's time into the caller's hands, for as long as it lives. Instead of ps_loop_run.
 *
 * Thread: the caller's, as for all that follows. */
void ps_driven_begin(struct ps_loop *loop, uint64_t now_ns, int64_t unix_ms);

/* A connection as the public listener accepts one, from 192.0.2.1.
 *
 * Returns: the client's end, non-blocking, which is the caller's; -1 where the loop has no room. */
int ps_driven_connect(struct ps_loop *loop);

/* One turn of the loop: timers that are due, what the sockets and other threads have brought, then
 * what the end of a turn sends.
 *
 * `ticks`:  whether it is one of those, about ten a second, that look at deadlines and call on_tick.
 * Calls:    everything.
 * Returns:  whether work is left over for another turn at once. */
bool ps_driven_turn(struct ps_loop *loop, uint64_t now_ns, int64_t unix_ms, bool ticks);

/* When a topic that waits for its tick wants the next turn; UINT64_MAX where none does. */
uint64_t ps_driven_due_ns(const struct ps_loop *loop);

#endif
