#ifndef PS_BUDGET_H
#define PS_BUDGET_H

#include <creactor.h>

/* Counts one more connection, unless the limit is reached. Thread: any. */
bool ps_budget_take(ps_budget *budget);
void ps_budget_give(ps_budget *budget);

#endif
