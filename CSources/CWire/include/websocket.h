/* WebSocket frames (RFC 6455 §5), the server's side: what clients send is checked strictly. */
#ifndef PS_WEBSOCKET_H
#define PS_WEBSOCKET_H

#include "answer.h"
#include "utf8.h"

typedef enum ps_ws_opcode {
    PS_WS_CONTINUATION = 0,
    PS_WS_TEXT = 1,
    PS_WS_BINARY = 2,
    PS_WS_CLOSE = 8,
    PS_WS_PING = 9,
    PS_WS_PONG = 10,
} ps_ws_opcode;

enum {
    PS_WS_CLIENT_HEADER_BYTES_MAX = 14,
    PS_WS_SERVER_HEADER_BYTES_MAX = 10,
    PS_WS_CONTROL_PAYLOAD_MAX = 125,
};

typedef struct ps_ws_header {
    uint64_t payload_bytes;
    uint8_t mask[4];
    uint8_t opcode;       /* ps_ws_opcode */
    bool fin;
    bool compressed;      /* RSV1, only where the connection agreed on permessage-deflate */
    uint8_t header_bytes; /* PS_DONE: where the payload begins */
} ps_ws_header;

/* Parses a client's frame header.
 *
 * Malformed (close with 1002): not masked, RSV2 or RSV3, RSV1 unless `allows_compressed` (and then
 * only on the first frame of a text or binary message), reserved opcodes, a control frame that is
 * fragmented or longer than 125, a length not in its shortest form or with its top bit set.
 * Known as soon as the bytes that prove it are there. */
int ps_ws_parse_header(
    ps_ws_header *header, const uint8_t *bytes, size_t count, bool allows_compressed);

/* XORs `bytes` with the mask, `phase` bytes into the payload; by 64-bit words. */
void ps_ws_unmask(uint8_t *bytes, size_t count, const uint8_t mask[4], size_t phase);

/* Writes an unmasked header with FIN. Returns its length, at most 10. */
size_t ps_ws_write_header(uint8_t *out, uint8_t opcode, bool compressed, uint64_t payload_bytes);

/* Reads a header that ps_ws_write_header wrote. Returns its length. */
size_t ps_ws_read_server_header(const uint8_t *bytes, uint8_t *opcode, size_t *payload_bytes);

/* Where a connection stands in its message. Zero-initialised. */
typedef struct ps_ws_message {
    uint64_t bytes;          /* payload of the message so far */
    uint32_t fragment_count;
    uint8_t opcode;          /* TEXT or BINARY while a message is under way, else 0 */
    bool compressed;
    ps_utf8 utf8;
} ps_ws_message;

typedef struct ps_ws_limits {
    uint64_t message_bytes;  /* past it: 1009 */
    uint32_t fragment_count; /* past it: 1008 */
} ps_ws_limits;

/* Takes the header of the next data frame (not a control frame).
 * Returns 0, or the close code: 1002 for a continuation of nothing or a message inside a message,
 * 1009 as soon as the announced payload passes the limit, 1008 past the fragment limit. */
uint16_t ps_ws_message_begin_frame(
    ps_ws_message *message, const ps_ws_header *header, const ps_ws_limits *limits);

/* Takes unmasked payload of the frame under way, in pieces. Text that is not compressed is checked
 * as UTF-8. Returns 0 or 1007. */
uint16_t ps_ws_message_feed(ps_ws_message *message, const uint8_t *bytes, size_t count);

/* Ends the frame. Returns 0, or 1007 for text that ends inside a character. `*complete` tells
 * whether the message is whole; the caller then handles it and zeroes `*message`. */
uint16_t ps_ws_message_end_frame(
    ps_ws_message *message, const ps_ws_header *header, bool *complete);

/* Reads the payload of a client's Close frame. `*code` becomes what to echo: its code, or 1000
 * where it is empty. Returns 0, or the close code of the violation, and leaves `*code` alone: 1002
 * for one byte or a code that must not be sent (below 1000, 1004 to 1006, 1015 to 2999, 5000 and
 * above), 1007 for a bad reason. */
uint16_t ps_ws_parse_close(uint16_t *code, const uint8_t *payload, size_t count);

/* Writes a whole Close frame with `code` and `reason` (cut to 123 bytes at a character).
 * `out` has room for 127. Returns the length. */
size_t ps_ws_write_close(uint8_t *out, uint16_t code, const char *reason);

#endif
