/* WebSocket frames (RFC 6455 §5) as a client sees them: the server's are read, its own written. */
#ifndef LD_FRAME_H
#define LD_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a parser says when it is not done; done is the number of bytes used, above zero. */
enum { LD_PARTIAL = 0, LD_MALFORMED = -1 };

enum {
    LD_TEXT = 1,
    LD_BINARY = 2,
    LD_CLOSE = 8,
    LD_PING = 9,
    LD_PONG = 10,
};

enum {
    LD_FRAME_PAYLOAD_BYTES_MAX = 128 * 1024, /* a longer frame is malformed; none of ours is near */
    LD_FRAME_HEADER_BYTES_MAX = 14,
};

typedef struct ld_frame {
    const uint8_t *payload; /* inside the parsed bytes */
    size_t payload_bytes;
    uint8_t opcode;
} ld_frame;

/* Parses one whole frame of a server.
 *
 * Malformed: masked, RSV bits, reserved opcodes, fragments, lengths above the limit. PollStream
 * sends every message in one frame, so a fragment is a fault worth stopping for.
 * Returns: bytes used, LD_PARTIAL or LD_MALFORMED. Reads nothing past `count`. */
int ld_frame_parse(ld_frame *out, const uint8_t *bytes, size_t count);

/* Writes a masked frame with FIN. `out` has room for LD_FRAME_HEADER_BYTES_MAX more than
 * `payload_bytes`. Returns the bytes written. */
size_t ld_frame_write(
    uint8_t *out, uint8_t opcode, const uint8_t *payload, size_t payload_bytes, uint32_t mask);

#endif
