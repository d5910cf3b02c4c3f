#include "handshake.h"

#include <stdio.h>
#include <string.h>

/* The nonce of RFC 6455 §1.3, the same for all: the answer is then a constant too, and checking it
 * costs a comparison. A load generator needs no unpredictable nonce. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

void ld_host_write(char out[LD_HOST_BYTES_MAX], const ld_target *target)
{
    snprintf(
        out, LD_HOST_BYTES_MAX, "%u.%u.%u.%u:%u", target->address >> 24,
        target->address >> 16 & 255, target->address >> 8 & 255, target->address & 255,
        (unsigned)target->port);
}

int ld_handshake_write(
    char out[LD_HANDSHAKE_BYTES_MAX], const ld_target *target, const char *path)
{
    char host[LD_HOST_BYTES_MAX];
    ld_host_write(host, target);
    int length = snprintf(
        out, LD_HANDSHAKE_BYTES_MAX,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n",
        path, host);
    return length < LD_HANDSHAKE_BYTES_MAX ? length : -1;
}

bool ld_handshake_is_accepted(const ld_response *response, const uint8_t *head)
{
    return response->status == 101 &&
           memmem(head, response->head_bytes, ACCEPT, sizeof ACCEPT - 1) != NULL;
}
