/* WebSocket frames (RFC 6455 §5), the client's side: what servers send is checked as strictly. */
#ifndef PS_WEBSOCKET_CLIENT_H
#define PS_WEBSOCKET_CLIENT_H

#include "websocket.h"

/* Parses a server's frame header; extensions are never agreed on here. `mask` is left alone.
 *
 * Malformed: masked, any RSV bit, reserved opcodes, a control frame that is fragmented or longer
 * than 125, a length not in its shortest form or with its top bit set. */
int ps_ws_parse_server_header(ps_ws_header *header, const uint8_t *bytes, size_t count);

/* Writes a masked header with FIN; the payload has to go through ps_ws_unmask with the same `mask`,
 * which has to be unpredictable (RFC 6455 §5.3). Returns its length, at most 14. */
size_t ps_ws_write_client_header(
    uint8_t *out, uint8_t opcode, uint64_t payload_bytes, const uint8_t mask[4]);

#endif
