/* Subscribers of a topic, densely, and what each has seen. The picture is in topic.c. */
#ifndef PS_TOPIC_H
#define PS_TOPIC_H

#include <creactor.h>

struct ps_connection;

/* What was published, or seen, in each lane. The counters wrap: a subscriber may be behind by up
 * to 65,535 changes of state, far more than a blocked one lives to miss. */
union ps_revision {
    struct {
        uint32_t tally;
        uint16_t state;
        uint16_t viewers;
    };
    uint64_t all; /* all three compared at once */
};

struct ps_entry {
    int32_t fd;
    uint32_t slot : 31;
    uint32_t deflates : 1; /* takes frames in their compressed form */
    union ps_revision seen;
};

_Static_assert(sizeof(struct ps_entry) == 16, "four to a cache line");

struct ps_topic_link {
    ps_topic *previous, *next;
};

struct ps_topic {
    ps_loop *loop;
    struct ps_entry *entries;
    uint32_t count, capacity;
    union ps_revision newest;
    ps_frame *tally; /* NULL where a state superseded it */
    ps_frame *transition, *snapshot;
    ps_frame *viewers;
    bool tally_is_later; /* than the newest state: it leaves behind it */

    /* Schedule: see sweep.c. */
    bool pending;  /* something was published that no sweep has begun with */
    bool urgent;   /* a state: does not wait for the tick */
    bool ready;    /* on sweeps.ready */
    bool sweeping; /* on sweeps.under_way */
    bool cooling;  /* on sweeps.cooling: its last sweep began less than a tick ago */
    uint32_t cursor; /* entries before it were served by the sweep under way */
    uint64_t started_ns;
    uint64_t due_ns; /* while pending: when the sweep might begin at the earliest */
    int64_t waiting_unix_ms, carried_unix_ms; /* arrival of the oldest ballot whose tally waits for
                                                 a sweep, is in the one under way; 0: none */
    struct ps_topic_link work;  /* of ready or under_way */
    struct ps_topic_link cools; /* of cooling */
};

/* What a frame that was sent, or never will be, counts for. */
struct ps_settled {
    uint64_t sent, conflated, dropped;
};

/* Leaves all topics; what was owed is dropped. */
void ps_topic_leave_all(ps_loop *loop, struct ps_connection *connection);

#endif
