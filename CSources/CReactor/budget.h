#ifndef PS_BUDGET_H
#define PS_BUDGET_H

#include <creactor.h>
#include <stdatomic.h>

/* Only the numbers matter, nothing is published with them: relaxed. */
struct ps_budget {
    _Atomic uint32_t connections;
    uint32_t limit;
    _Atomic uint64_t buffer_bytes;
    uint64_t buffer_limit;
};

/* From here on memory is short, see memory_bound.h. */
static inline uint64_t ps_budget_short_bytes(const ps_budget *budget) {
    return budget->buffer_limit - budget->buffer_limit / 4;
}

/* Counts one more connection, unless the limit is reached. Thread: any. */
bool ps_budget_take(ps_budget *budget);
void ps_budget_give(ps_budget *budget);

#endif
