/* Counters of a loop: one thread writes, any reads, nobody waits. */
#include "loop.h"

const uint64_t ps_duration_bounds_ns[PS_DURATION_BUCKETS - 1] = {
    50000,     100000,    250000,    500000,     1000000,    2500000,    5000000,     10000000,
    25000000,  50000000,  100000000, 250000000,  500000000,  1000000000, 2500000000u, 5000000000u,
    10000000000u,
};

/* Most durations are short, so the search ends early. */
void ps_durations_observe(_Atomic uint64_t *counters, uint64_t ns) {
    size_t bucket = 0;
    while (bucket < PS_DURATION_BUCKETS - 1 && ns > ps_duration_bounds_ns[bucket]) {
        bucket++;
    }
    ps_counter_add(&counters[bucket], 1);
    ps_counter_add(&counters[offsetof(ps_durations, ns_total) / sizeof(uint64_t)], ns);
}

void ps_loop_statistics(const ps_loop *loop, ps_statistics *out) {
    uint64_t *fields = (uint64_t *)out;
    for (size_t i = 0; i < PS_COUNTER_COUNT; i++) {
        fields[i] = atomic_load_explicit(&loop->counters[i], memory_order_relaxed);
    }
}
