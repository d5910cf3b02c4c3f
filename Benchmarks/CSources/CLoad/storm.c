#include "storm.h"

#include "machine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/* ---- the run ------------------------------------------------------------------------------ */

int ld_storm_run(
    ld_subscribers *subscribers, ld_subscribers *passers, ld_voters *voters, uint64_t until_ns)
{
    struct pollfd descriptors[3] = {
        { .fd = ld_subscribers_descriptor(subscribers), .events = POLLIN },
        { .fd = ld_voters_descriptor(voters), .events = POLLIN },
        { .fd = passers ? ld_subscribers_descriptor(passers) : -1, .events = POLLIN },
    };
    while (true) {
        if (ld_interrupted())
            return LD_INTERRUPTED;
        uint64_t next_ns[3] = { UINT64_MAX, UINT64_MAX, UINT64_MAX };
        int result = ld_subscribers_poll(subscribers, &next_ns[0]);
        if (result == LD_OK && passers)
            result = ld_subscribers_poll(passers, &next_ns[1]);
        if (result == LD_OK)
            result = ld_voters_poll(voters, &next_ns[2]);
        if (result != LD_OK)
            return result;
        uint64_t now_ns = ld_now_ns();
        if (now_ns >= until_ns)
            return LD_OK;
        uint64_t wake_ns = until_ns;
        for (int i = 0; i < 3; i++)
            wake_ns = next_ns[i] < wake_ns ? next_ns[i] : wake_ns;
        uint64_t wait_ns = wake_ns > now_ns ? wake_ns - now_ns : 0;
        if (wait_ns > 50000000)
            wait_ns = 50000000; /* Ctrl-C is looked for */
        struct timespec wait = { .tv_nsec = (long)wait_ns };
        if (ppoll(descriptors, 3, &wait, NULL) < 0 && errno != EINTR)
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

static int by_poll_and_revision(const void *a, const void *b)
{
    const ld_receipt *one = a, *other = b;
    if (one->poll != other->poll)
        return one->poll > other->poll ? 1 : -1;
    return (one->revision > other->revision) - (one->revision < other->revision);
}

int ld_storm_match(
    ld_screen_times **out, const ld_arrival *arrivals, size_t arrival_count, size_t viewer_count,
    const ld_receipt *receipts, size_t receipt_count, size_t poll_count)
{
    ld_screen_times *times = calloc(1, sizeof *times);
    ld_receipt *sorted = malloc((receipt_count + 1) * sizeof *sorted);
    /* By poll: where its receipts begin. By viewer: the next one to be on its screen. */
    size_t *begins = calloc(poll_count + 1, sizeof *begins);
    size_t *shown = malloc((viewer_count + 1) * sizeof *shown);
    if (times && sorted && begins && shown) {
        for (size_t i = 0; i < receipt_count; i++)
            sorted[i] = receipts[i];
        qsort(sorted, receipt_count, sizeof *sorted, by_poll_and_revision);
        for (size_t i = 0; i < receipt_count; i++)
            begins[sorted[i].poll + 1] = i + 1;
        for (size_t i = 1; i <= poll_count; i++)
            begins[i] = begins[i] > begins[i - 1] ? begins[i] : begins[i - 1];
        for (size_t i = 0; i < viewer_count; i++)
            shown[i] = begins[i % poll_count];
        times->missing = (uint64_t)viewer_count / poll_count * receipt_count;
        for (const ld_arrival *one = arrivals; one < arrivals + arrival_count; one++) {
            size_t *next = &shown[one->viewer];
            size_t end = begins[one->viewer % poll_count + 1];
            for (; *next < end && sorted[*next].revision <= one->revision; ++*next) {
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
    free(begins);
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
