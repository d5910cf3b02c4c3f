#include "sweep_send.h"

#include <errno.h>
#include <sys/socket.h>

static int32_t send_one(int fd, const struct ps_sweep_message *message) {
    ssize_t taken;
    if (message->part_count == 1) {
        taken = send(
            fd, message->parts[0].iov_base, message->parts[0].iov_len,
            MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
        struct msghdr header = {
            .msg_iov = (struct iovec *)message->parts, .msg_iovlen = message->part_count};
        taken = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    return taken < 0 ? -errno : (int32_t)taken;
}

void ps_sweep_send_each(void *context, struct ps_sweep_item *items, size_t count) {
    (void)context;
    for (size_t i = 0; i < count; i++) {
        items[i].taken = send_one(items[i].fd, items[i].message);
    }
}
