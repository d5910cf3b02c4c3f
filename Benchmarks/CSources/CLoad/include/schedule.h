/* An open-loop schedule: when each event is due, whatever the server does. Pure. */
#ifndef LD_SCHEDULE_H
#define LD_SCHEDULE_H

#include <stdint.h>

typedef struct ld_schedule {
    uint64_t start_ns;
    uint64_t events_per_second; /* above zero */
} ld_schedule;

/* When event `index` (from 0) is due. Computed from the start, so that rounding never adds up. */
static inline uint64_t ld_schedule_intended_ns(const ld_schedule *schedule, uint64_t index)
{
    unsigned __int128 scaled = (unsigned __int128)index * 1000000000u;
    uint64_t rate = schedule->events_per_second;
    return schedule->start_ns + (uint64_t)((scaled + rate - 1) / rate);
}

/* How many events are due at `now_ns`: those whose intended time is not later. */
static inline uint64_t ld_schedule_due(const ld_schedule *schedule, uint64_t now_ns)
{
    if (now_ns < schedule->start_ns)
        return 0;
    unsigned __int128 elapsed_ns = now_ns - schedule->start_ns;
    return (uint64_t)(elapsed_ns * schedule->events_per_second / 1000000000u) + 1;
}

#endif
