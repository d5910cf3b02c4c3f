/* The client's side of the WebSocket handshake (RFC 6455 §4.1). Private. */
#ifndef LD_HANDSHAKE_H
#define LD_HANDSHAKE_H

#include "scan.h"
#include "target.h"

enum { LD_HANDSHAKE_BYTES_MAX = 1024, LD_HOST_BYTES_MAX = 24 };

/* Writes `address:port` for a Host header. */
void ld_host_write(char out[LD_HOST_BYTES_MAX], const ld_target *target);

/* Writes the request. Returns its length, or -1 where `path` is too long. */
int ld_handshake_write(
    char out[LD_HANDSHAKE_BYTES_MAX], const ld_target *target, const char *path);

/* Whether `response`, whose bytes begin at `head`, accepts what ld_handshake_write asked for. */
bool ld_handshake_is_accepted(const ld_response *response, const uint8_t *head);

#endif
