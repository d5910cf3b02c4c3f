/* The server under load, and how a run of a load can end. */
#ifndef LD_TARGET_H
#define LD_TARGET_H

#include <stdint.h>

/* What a run returns; LD_OK is what was asked for. */
enum {
    LD_OK = 0,
    LD_FULL = 1,         /* the sample buffer is full: take the samples, call again */
    LD_TIMEOUT = -2,     /* not everything came in time */
    LD_INTERRUPTED = -3, /* Ctrl-C */
    LD_LOST = -4,        /* a connection that was needed is gone; `_reason` says why */
    LD_FAILED = -5,      /* the system refused something; `_reason` says what */
};

typedef struct ld_target {
    uint32_t address;              /* IPv4, host byte order */
    uint16_t port;
    uint16_t source_address_count; /* connections spread over 127.0.0.2 and on, so that the ports of
                                      one address do not run out; 0, or a target that is not
                                      loopback: the kernel's choice */
} ld_target;

#endif
