/* The opening handshake of a WebSocket (RFC 6455 §4.2). */
#ifndef PS_HANDSHAKE_H
#define PS_HANDSHAKE_H

#include "http.h"

enum { PS_WS_ACCEPT_BYTES = 28 };

/* Checks all but origin and path.
 * Returns 101 where the switch may be made, 0 where the request is no WebSocket handshake at all
 * (no Upgrade that names websocket), else the status to answer: 405 for another method than GET,
 * 400 for HTTP/1.0, a body, a missing `Connection: upgrade`, a missing, repeated or malformed key
 * (not the canonical base64 of 16 bytes), 426 for a version other than 13. */
uint16_t ps_ws_check_handshake(const ps_http_head *head);

/* Writes Sec-WebSocket-Accept for a checked key of 24 bytes. */
void ps_ws_accept_key(char out[PS_WS_ACCEPT_BYTES], ps_bytes key);

/* SHA-1 (FIPS 180-4), which RFC 6455 asks for; nothing else here may rest on it. */
void ps_sha1(uint8_t out[20], const uint8_t *bytes, size_t count);

#endif
