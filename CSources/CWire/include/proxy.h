/* The PROXY protocol (HAProxy's "The PROXY protocol, versions 1 & 2", sections 2.1 and 2.2): what a
 * load balancer says, before the first byte of its client, about who that is. */
#ifndef PS_PROXY_H
#define PS_PROXY_H

#include "answer.h"

/* Longer headers are malformed: what they hold beyond an address is skipped, but not without end. */
enum { PS_PROXY_HEADER_MAX = 4096 };

typedef struct ps_proxy_header {
    uint32_t header_bytes;  /* of the whole header; what follows is the client's */
    bool has_address;       /* else (LOCAL, UNKNOWN, UNIX, UDP, UNSPEC) the peer's own counts */
    uint16_t port;
    uint8_t address[16];    /* IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2) */
} ps_proxy_header;

/* Reads the header that `bytes` begin with. A CRC32c that is given is checked. */
int ps_proxy_parse(ps_proxy_header *header, const uint8_t *bytes, size_t count);

/* Whether `bytes` begin like a header of either version: PS_MALFORMED where they are something else,
 * PS_PARTIAL where more have to be seen. */
int ps_proxy_begins(const uint8_t *bytes, size_t count);

#endif
