#include "budget.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <uv.h>

ps_budget *ps_budget_create(uint32_t connection_limit, uint64_t buffer_limit) {
    ps_budget *budget = calloc(1, sizeof *budget);
    if (budget) {
        budget->limit = connection_limit;
        budget->buffer_limit = buffer_limit;
    }
    return budget;
}

void ps_budget_destroy(ps_budget *budget) {
    free(budget);
}

uint32_t ps_budget_connections(const ps_budget *budget) {
    return atomic_load_explicit(&budget->connections, memory_order_relaxed);
}

uint64_t ps_budget_buffer_bytes(const ps_budget *budget) {
    return atomic_load_explicit(&budget->buffer_bytes, memory_order_relaxed);
}

bool ps_budget_is_short(const ps_budget *budget) {
    return ps_budget_buffer_bytes(budget) >= ps_budget_short_bytes(budget);
}

bool ps_budget_reserve(ps_budget *budget, uint64_t bytes) {
    if (ps_budget_is_short(budget)) {
        return false;
    }
    atomic_fetch_add_explicit(&budget->buffer_bytes, bytes, memory_order_relaxed);
    return true;
}

void ps_budget_release(ps_budget *budget, uint64_t bytes) {
    atomic_fetch_sub_explicit(&budget->buffer_bytes, bytes, memory_order_relaxed);
}

bool ps_budget_take(ps_budget *budget) {
    if (atomic_fetch_add_explicit(&budget->connections, 1, memory_order_relaxed) < budget->limit) {
        return true;
    }
    ps_budget_give(budget);
    return false;
}

void ps_budget_give(ps_budget *budget) {
    atomic_fetch_sub_explicit(&budget->connections, 1, memory_order_relaxed);
}

uint64_t ps_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : soft;
}

uint32_t ps_available_cores(void) {
    return uv_available_parallelism();
}
