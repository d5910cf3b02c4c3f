#include "subscriber.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

int ld_subscribers_create(
    ld_subscribers **out, const ld_target *target, const char *path, int count)
{
    ld_subscribers *s = calloc(1, sizeof *s);
    if (!s)
        return LD_FAILED;
    s->target = *target;
    s->count = count;
    s->latency_capacity = count;
    s->polls_each = 1;
    s->next_retry_ns = UINT64_MAX;
    s->random = 0x9e3779b97f4a7c15;
    s->control.fd = -1;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->all = calloc((size_t)count + 1, sizeof *s->all);
    s->latencies_ns = calloc((size_t)count + 1, sizeof *s->latencies_ns);
    s->handshake_bytes = ld_handshake_write(s->handshake, target, path);
    if (s->epoll < 0 || !s->all || !s->latencies_ns || s->handshake_bytes < 0) {
        ld_subscribers_destroy(s);
        return LD_FAILED;
    }
    for (int i = 0; i < count; i++)
        s->all[i].peer.fd = -1;
    *out = s;
    return LD_OK;
}

void ld_subscribers_destroy(ld_subscribers *s)
{
    if (!s)
        return;
    for (int i = 0; s->all && i < s->count; i++)
        ld_peer_close(&s->all[i].peer);
    ld_peer_close(&s->control);
    if (s->epoll >= 0)
        close(s->epoll);
    free(s->arrivals);
    free(s->all);
    free(s->latencies_ns);
    free(s->poll_ids);
    free(s->revisions);
    free(s->message);
    free(s->returns);
    free(s);
}

int ld_subscribers_follow(
    ld_subscribers *s, const uint64_t *poll_ids, int poll_count, int each)
{
    s->poll_ids = malloc((size_t)poll_count * sizeof *s->poll_ids);
    s->revisions = calloc((size_t)s->count * (size_t)each, sizeof *s->revisions);
    if (!s->poll_ids || !s->revisions)
        return LD_FAILED;
    memcpy(s->poll_ids, poll_ids, (size_t)poll_count * sizeof *poll_ids);
    s->poll_count = poll_count;
    s->polls_each = each;
    return LD_OK;
}

int ld_subscribers_say(ld_subscribers *s, const char *message, size_t message_bytes)
{
    s->is_foreign = true;
    if (!message)
        return LD_OK;
    s->message = malloc(message_bytes + 1);
    if (!s->message)
        return LD_FAILED;
    memcpy(s->message, message, message_bytes);
    s->message_bytes = message_bytes;
    return LD_OK;
}

int ld_subscribers_persist(ld_subscribers *s, size_t capacity)
{
    s->returns = calloc(capacity, sizeof *s->returns);
    s->return_capacity = s->returns ? capacity : 0;
    return s->returns ? LD_OK : LD_FAILED;
}

const ld_return *ld_subscribers_returns(const ld_subscribers *s, size_t *count)
{
    *count = s->return_count;
    return s->returns;
}

ld_churn ld_subscribers_churn(const ld_subscribers *s)
{
    return s->churn;
}

int ld_subscribers_log(ld_subscribers *s, size_t capacity)
{
    free(s->arrivals);
    s->arrivals = calloc(capacity, sizeof *s->arrivals);
    s->arrival_capacity = s->arrivals ? capacity : 0;
    s->arrival_count = 0;
    s->lost_arrival_count = 0;
    return s->arrivals ? LD_OK : LD_FAILED;
}

const ld_arrival *ld_subscribers_arrivals(
    const ld_subscribers *s, size_t *count, uint64_t *lost_count)
{
    *count = s->arrival_count;
    *lost_count = s->lost_arrival_count;
    return s->arrivals;
}

int ld_subscribers_holding(const ld_subscribers *s, uint64_t revision)
{
    int count = 0;
    for (int i = 0; i < s->count; i++)
        count += s->all[i].revision >= revision;
    return count;
}

const uint64_t *ld_subscribers_latencies(const ld_subscribers *s, int *count)
{
    *count = s->latency_count;
    return s->latencies_ns;
}

const char *ld_subscribers_reason(const ld_subscribers *s)
{
    return s->reason;
}

int ld_subscribers_descriptor(const ld_subscribers *s)
{
    return s->epoll;
}
