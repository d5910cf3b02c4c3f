/* Messages of permessage-deflate (RFC 7692 §7.2), each by itself: neither side keeps a context from
 * one message to the next, so one ps_deflate serves any number of connections of one thread. */
#ifndef PS_DEFLATE_H
#define PS_DEFLATE_H

#include <cwire.h>

typedef struct ps_deflate ps_deflate;

/* Some 60 KB. Returns NULL without memory. */
ps_deflate *ps_deflate_create(void);
void ps_deflate_destroy(ps_deflate *codec);

/* Compresses a message within a window of 2^9 bytes. Returns false where that does not make it
 * shorter, or there is no memory. `*out` is valid until the next call. */
bool ps_deflate_message(
    ps_deflate *codec, const uint8_t *bytes, size_t count, ps_bytes *out);

/* Expands the payload of a message, fragments joined, of any window. Returns 0, or the close code:
 * 1009 as soon as more than `limit` bytes come out, 1007 where it is no deflate data or breaks off
 * within a block, 1011 without memory. `*out` is valid until the next call. */
uint16_t ps_inflate_message(
    ps_deflate *codec, const uint8_t *bytes, size_t count, size_t limit, ps_bytes *out);

#endif
