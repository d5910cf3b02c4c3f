/* Deadlines: one wheel of intrusive lists per loop, one entry per connection.
 *
 * A connection's entry stands at or before the earliest of what it waits for:
 *
 *   `due`, by class    PROXY header, TLS handshake, head, body, idle (HTTP); close
 *   `ping_due`         WebSockets and streams
 *   outbox progress    + two ping periods, while something waits to be taken
 *
 * A deadline that moves later, as most do, leaves the entry where it is: reached, it is put where
 * it belongs by then. So a busy connection costs a store per request, and no list is touched. */
#ifndef PS_DEADLINE_H
#define PS_DEADLINE_H

#include <stdint.h>

struct ps_loop;
struct ps_connection;

enum {
    PS_WHEEL_MS_BITS = 7, /* a step is 128 ms */
    PS_WHEEL_STEPS = 256, /* a round is 32.8 s; what lies further is passed over once a round */
    PS_WHEEL_LATE_STEPS = 8, /* who is later than a second stood still */
};

typedef enum ps_deadline_class {
    PS_DEADLINE_NONE = 0,
    PS_DEADLINE_HEAD,  /* 408 */
    PS_DEADLINE_BODY,  /* 408 */
    PS_DEADLINE_IDLE,  /* close without a word */
    PS_DEADLINE_PROXY, /* the same, also where a part has come */
    PS_DEADLINE_TLS,   /* the same, until its handshake is done */
    PS_DEADLINE_CLOSE, /* the peer had its time: close */
} ps_deadline_class;

struct ps_wheel {
    uint32_t now;                      /* the last step that was run */
    uint32_t stood_still;              /* steps that are not counted, see ps_deadline_run */
    uint64_t cpu_ns;                   /* of the loop's thread, when it was last run */
    uint32_t buckets[PS_WHEEL_STEPS];  /* slot + 1 of the first entry */
};

/* The step that is `delay_ms` from now; rounded up, so that no deadline comes early. */
uint32_t ps_deadline_step(const struct ps_loop *loop, uint32_t delay_ms);

/* Replaces the deadline by class. */
void ps_deadline_set(
    struct ps_loop *loop, struct ps_connection *connection, ps_deadline_class kind,
    uint32_t delay_ms);
void ps_deadline_clear(struct ps_connection *connection);

/* Puts the entry where it belongs after ping_due or the outbox's progress were set. */
void ps_deadline_arm(struct ps_loop *loop, struct ps_connection *connection);

/* Takes a connection that goes away off the wheel. */
void ps_deadline_unlink(struct ps_loop *loop, struct ps_connection *connection);

/* Runs all steps up to now: whoever's entry is reached is listed for ps_deadline_expire.
 *
 * Time in which this loop did not run, as while its machine was paused, is not counted: what peers
 * sent meanwhile has not been read, and they did not hear us. Where it has come late for its own work,
 * that is: `cpu_ns`, what its thread has used since it began, tells the one from the other. */
void ps_deadline_run(struct ps_loop *loop, uint64_t cpu_ns);

/* Does what is due by now, if anything is. Calls: on_refused. */
void ps_deadline_expire(struct ps_loop *loop, struct ps_connection *connection);

#endif
