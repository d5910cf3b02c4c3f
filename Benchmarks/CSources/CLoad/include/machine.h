/* The machine under the load: clocks, cores, descriptors, and Ctrl-C. */
#ifndef LD_MACHINE_H
#define LD_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* Monotonic time. */
uint64_t ld_now_ns(void);

/* User and system time of a whole process, all its threads, ended ones too: what utime + stime of
 * /proc/PID/stat say, but in nanoseconds instead of clock ticks.
 * Returns: 0 where there is no such process. */
uint64_t ld_process_cpu_ns(int pid);

/* Keeps the calling thread, and what it starts from here on, on one core.
 * `cpu` below zero: every core there is.
 * Returns: 0, or -1 where the core does not exist. */
int ld_pin(int cpu);

/* Raises the soft descriptor limit to the hard one. Returns what it is then. */
uint64_t ld_raise_descriptor_limit(void);

/* From here on SIGINT and SIGTERM only set a flag, which every run of a load looks at: it returns
 * LD_INTERRUPTED within 100 ms, so that a partial report can be written. SIGPIPE is ignored. */
void ld_catch_interrupt(void);
bool ld_interrupted(void);

#endif
