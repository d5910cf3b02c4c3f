#include "storm.h"

#include "machine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/* ---- the run ------------------------------------------------------------------------------ */

int ld_storm_run(ld_subscribers *subscribers, ld_voters *voters, uint64_t until_ns)
{
    struct pollfd descriptors[2] = {
        { .fd = ld_subscribers_descriptor(subscribers), .events = POLLIN },
        { .fd = ld_voters_descriptor(voters), .events = POLLIN },
    };
    while (true) {
        if (ld_interrupted())
            return LD_INTERRUPTED;
        uint64_t next_ns;
        int result = ld_subscribers_poll(subscribers);
        if (result == LD_OK)
            result = ld_voters_poll(voters, &next_ns);
        if (result != LD_OK)
            return result;
        uint64_t now_ns = ld_now_ns();
        if (now_ns >= until_ns)
            return LD_OK;
        uint64_t wake_ns = next_ns < until_ns ? next_ns : until_ns;
        uint64_t wait_ns = wake_ns > now_ns ? wake_ns - now_ns : 0;
        if (wait_ns > 50000000)
            wait_ns = 50000000; /* Ctrl-C is looked for */
        struct timespec wait = { .tv_nsec = (long)wait_ns };
        if (ppoll(descriptors, 2, &wait, NULL) < 0 && errno != EINTR)
            return LD_FAILED;
    }
}

/* ---- pairs --------------------------------------------------------------------------------
 *
 * Durations fall into buckets of 1 µs up to 2^11 µs, then of twice the width for each doubling:
 * never wider than a thousandth of what they hold. */

enum { MANTISSA_BITS = 10, OCTAVES = 44, BUCKETS = (OCTAVES + 2) << MANTISSA_BITS };

struct ld_screen_times {
    uint64_t missing;
    uint64_t counts[BUCKETS];
};

static size_t bucket_of(uint64_t duration_ns)
{
    uint64_t us = duration_ns / 1000;
    unsigned shift = 0;
    while (us >> shift >= 2u << MANTISSA_BITS)
        shift++;
    return ((size_t)shift << MANTISSA_BITS) + (size_t)(us >> shift);
}

/* The longest duration of a bucket. */
static uint64_t duration_of(size_t bucket)
{
    size_t shift = bucket < 2u << MANTISSA_BITS ? 0 : (bucket >> MANTISSA_BITS) - 1;
    uint64_t mantissa = bucket - (shift << MANTISSA_BITS);
    return (((mantissa + 1) << shift) - 1) * 1000;
}

static int by_revision(const void *a, const void *b)
{
    const ld_receipt *one = a, *other = b;
    return (one->revision > other->revision) - (one->revision < other->revision);
}

int ld_storm_match(
    ld_screen_times **out, const ld_arrival *arrivals, size_t arrival_count, size_t viewer_count,
    const ld_receipt *receipts, size_t receipt_count)
{
    ld_screen_times *times = calloc(1, sizeof *times);
    ld_receipt *sorted = malloc((receipt_count + 1) * sizeof *sorted);
    /* By viewer: how many of the sorted receipts are on its screen. */
    size_t *shown = calloc(viewer_count + 1, sizeof *shown);
    if (times && sorted && shown) {
        for (size_t i = 0; i < receipt_count; i++)
            sorted[i] = receipts[i];
        qsort(sorted, receipt_count, sizeof *sorted, by_revision);
        times->missing = (uint64_t)viewer_count * receipt_count;
        for (const ld_arrival *one = arrivals; one < arrivals + arrival_count; one++) {
            size_t *next = &shown[one->viewer];
            for (; *next < receipt_count && sorted[*next].revision <= one->revision; ++*next) {
                uint64_t intended_ns = sorted[*next].intended_ns;
                uint64_t took_ns = one->ns > intended_ns ? one->ns - intended_ns : 0;
                times->counts[bucket_of(took_ns)]++;
                times->missing--;
            }
        }
        *out = times;
        times = NULL;
    } else {
        *out = NULL;
    }
    free(times);
    free(sorted);
    free(shown);
    return *out ? LD_OK : LD_FAILED;
}

void ld_screen_times_free(ld_screen_times *times)
{
    free(times);
}

uint64_t ld_screen_times_missing(const ld_screen_times *times)
{
    return times->missing;
}

bool ld_screen_times_next(
    const ld_screen_times *times, size_t *cursor, uint64_t *duration_ns, uint64_t *count)
{
    while (*cursor < BUCKETS && times->counts[*cursor] == 0)
        ++*cursor;
    if (*cursor == BUCKETS)
        return false;
    *duration_ns = duration_of(*cursor);
    *count = times->counts[*cursor];
    ++*cursor;
    return true;
}
