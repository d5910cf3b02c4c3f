/* A slice of sends by one system call: io_uring (io_uring_setup(2), io_uring_enter(2)).
 *
 *   items ─► submission entries ─► io_uring_enter: submit n, wait for n ─► completions ─► taken
 *
 * Each send carries MSG_DONTWAIT, so the kernel finishes it within the call: it takes bytes, or says
 * EAGAIN, exactly as send(2) would, and nothing is under way when the call returns. Should it break
 * off, the items that were not submitted are sent one by one. */
#include "sweep_uring.h"

#include <creactor.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RING_ENTRIES = 256 };

struct ps_uring {
    int fd;
    /* Shared with the kernel. */
    uint32_t *sq_head, *sq_tail, *cq_head, *cq_tail;
    uint32_t sq_mask, cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    void *rings;
    size_t rings_bytes;
    struct msghdr headers[RING_ENTRIES]; /* of messages in parts */
};

/* ---- Life ---- */

static void *map(int fd, size_t bytes, off_t offset) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
    return at == MAP_FAILED ? NULL : at;
}

static bool map_ring(struct ps_uring *ring, const struct io_uring_params *params) {
    size_t sq_bytes = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
    size_t cq_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    ring->rings_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    ring->rings = map(ring->fd, ring->rings_bytes, IORING_OFF_SQ_RING);
    ring->sqes = map(ring->fd, RING_ENTRIES * sizeof *ring->sqes, IORING_OFF_SQES);
    if (!ring->rings || !ring->sqes) {
        return false;
    }
    uint8_t *base = ring->rings;
    ring->sq_head = (uint32_t *)(base + params->sq_off.head);
    ring->sq_tail = (uint32_t *)(base + params->sq_off.tail);
    ring->sq_mask = *(uint32_t *)(base + params->sq_off.ring_mask);
    ring->cq_head = (uint32_t *)(base + params->cq_off.head);
    ring->cq_tail = (uint32_t *)(base + params->cq_off.tail);
    ring->cq_mask = *(uint32_t *)(base + params->cq_off.ring_mask);
    ring->cqes = (struct io_uring_cqe *)(base + params->cq_off.cqes);
    uint32_t *array = (uint32_t *)(base + params->sq_off.array);
    for (uint32_t i = 0; i < params->sq_entries; i++) {
        array[i] = i;
    }
    return true;
}

struct ps_uring *ps_uring_create(void) {
    struct ps_uring *ring = calloc(1, sizeof *ring);
    if (!ring) {
        errno = ENOMEM;
        return NULL;
    }
    struct io_uring_params params = {.flags = IORING_SETUP_CLAMP};
    ring->fd = (int)syscall(SYS_io_uring_setup, RING_ENTRIES, &params);
    if (ring->fd < 0 || !(params.features & IORING_FEAT_SINGLE_MMAP)
        || params.sq_entries < RING_ENTRIES || !map_ring(ring, &params)) {
        int error = ring->fd < 0 ? errno : ENOSYS; /* older than 5.4, or without room */
        ps_uring_destroy(ring);
        errno = error;
        return NULL;
    }
    return ring;
}

void ps_uring_destroy(struct ps_uring *ring) {
    if (!ring) {
        return;
    }
    if (ring->rings) {
        munmap(ring->rings, ring->rings_bytes);
    }
    if (ring->sqes) {
        munmap(ring->sqes, RING_ENTRIES * sizeof *ring->sqes);
    }
    if (ring->fd >= 0) {
        close(ring->fd);
    }
    free(ring);
}

/* ---- A batch ---- */

static void prepare(
    struct ps_uring *ring, uint32_t slot, const struct ps_sweep_item *item, uint64_t index) {
    struct io_uring_sqe *sqe = &ring->sqes[slot];
    const struct ps_sweep_message *message = item->message;
    memset(sqe, 0, sizeof *sqe);
    sqe->fd = item->fd;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    sqe->user_data = index;
    if (message->part_count == 1) {
        sqe->opcode = IORING_OP_SEND;
        sqe->addr = (uintptr_t)message->parts[0].iov_base;
        sqe->len = (uint32_t)message->parts[0].iov_len;
        return;
    }
    ring->headers[slot] = (struct msghdr){
        .msg_iov = (struct iovec *)message->parts, .msg_iovlen = message->part_count};
    sqe->opcode = IORING_OP_SENDMSG;
    sqe->addr = (uintptr_t)&ring->headers[slot];
    sqe->len = 1;
}

static uint32_t reap(struct ps_uring *ring, struct ps_sweep_item *items) {
    uint32_t head = *ring->cq_head; /* ours alone to write */
    uint32_t tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
    uint32_t count = tail - head;
    for (; head != tail; head++) {
        const struct io_uring_cqe *cqe = &ring->cqes[head & ring->cq_mask];
        items[cqe->user_data].taken = cqe->res;
    }
    __atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
    return count;
}

/* Hands `count` items over and waits for all that the kernel has taken. Returns how many it took:
 * fewer where it broke off. */
static uint32_t run_batch(struct ps_uring *ring, struct ps_sweep_item *items, uint32_t count) {
    uint32_t tail = *ring->sq_tail; /* ours alone to write */
    for (uint32_t i = 0; i < count; i++) {
        prepare(ring, (tail + i) & ring->sq_mask, &items[i], i);
    }
    __atomic_store_n(ring->sq_tail, tail + count, __ATOMIC_RELEASE);
    uint32_t submitted = 0;
    uint32_t completed = 0;
    while (completed < submitted || submitted < count) {
        long taken = syscall(
            SYS_io_uring_enter, ring->fd, count - submitted, count - completed,
            IORING_ENTER_GETEVENTS, NULL, 0);
        if (taken < 0 && errno != EINTR) {
            break;
        }
        submitted += taken > 0 ? (uint32_t)taken : 0;
        completed += reap(ring, items);
        if (taken == 0 && completed == submitted && submitted < count) {
            break; /* it takes no more */
        }
    }
    /* What it did not take is taken back. */
    __atomic_store_n(ring->sq_tail, tail + submitted, __ATOMIC_RELEASE);
    while (completed < submitted) { /* the call failed with sends under way: they end soon */
        completed += reap(ring, items);
    }
    return submitted;
}

void ps_sweep_send_uring(void *context, struct ps_sweep_item *items, size_t count) {
    struct ps_uring *ring = context;
    enum { WORTH_A_BATCH = 8 }; /* fewer cost less one by one */
    while (count >= WORTH_A_BATCH) {
        uint32_t batch = count < RING_ENTRIES ? (uint32_t)count : RING_ENTRIES;
        uint32_t taken = run_batch(ring, items, batch);
        items += taken;
        count -= taken;
        if (taken < batch) {
            break;
        }
    }
    ps_sweep_send_each(NULL, items, count);
}

/* ---- Whether it works here ---- */

int ps_uring_try(void) {
    struct ps_uring *ring = ps_uring_create();
    if (!ring) {
        return errno;
    }
    enum { COUNT = 8, BYTES = 4 };
    int ends[2];
    int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : errno;
    if (error == 0) {
        char word[BYTES + 1] = "poll";
        struct ps_sweep_message whole = {
            .parts = {{word, BYTES}}, .part_count = 1, .bytes = BYTES};
        struct ps_sweep_message parts = {
            .parts = {{word, 1}, {word + 1, BYTES - 1}}, .part_count = 2, .bytes = BYTES};
        struct ps_sweep_item items[COUNT];
        for (int i = 0; i < COUNT; i++) {
            items[i] = (struct ps_sweep_item){.message = i % 2 ? &whole : &parts, .fd = ends[0]};
        }
        uint32_t taken = run_batch(ring, items, COUNT);
        error = taken == COUNT ? 0 : ENOSYS;
        for (uint32_t i = 0; i < taken && error == 0; i++) {
            error = items[i].taken < 0 ? -items[i].taken : items[i].taken == BYTES ? 0 : EIO;
        }
        close(ends[0]);
        close(ends[1]);
    }
    ps_uring_destroy(ring);
    return error;
}
