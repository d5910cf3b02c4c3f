#include "frame.h"

#include <string.h>

static bool is_known(uint8_t opcode)
{
    return opcode == LD_TEXT || opcode == LD_BINARY || opcode == LD_CLOSE || opcode == LD_PING ||
           opcode == LD_PONG;
}

int ld_frame_parse(ld_frame *out, const uint8_t *bytes, size_t count)
{
    if (count < 1)
        return LD_PARTIAL;
    bool fin = bytes[0] & 0x80;
    uint8_t opcode = bytes[0] & 0x0f;
    if (!fin || (bytes[0] & 0x70) || !is_known(opcode))
        return LD_MALFORMED;
    if (count < 2)
        return LD_PARTIAL;
    if (bytes[1] & 0x80)
        return LD_MALFORMED;

    size_t header_bytes = 2;
    uint64_t payload_bytes = bytes[1];
    if (payload_bytes == 126) {
        header_bytes = 4;
        if (count < header_bytes)
            return LD_PARTIAL;
        payload_bytes = (uint64_t)bytes[2] << 8 | bytes[3];
    } else if (payload_bytes == 127) {
        header_bytes = 10;
        if (count < header_bytes)
            return LD_PARTIAL;
        payload_bytes = 0;
        for (int i = 2; i < 10; i++)
            payload_bytes = payload_bytes << 8 | bytes[i];
    }
    if (payload_bytes > LD_FRAME_PAYLOAD_BYTES_MAX)
        return LD_MALFORMED;
    if (count - header_bytes < payload_bytes)
        return LD_PARTIAL;

    *out = (ld_frame){
        .payload = bytes + header_bytes,
        .payload_bytes = (size_t)payload_bytes,
        .opcode = opcode,
    };
    return (int)(header_bytes + payload_bytes);
}

size_t ld_frame_write(
    uint8_t *out, uint8_t opcode, const uint8_t *payload, size_t payload_bytes, uint32_t mask)
{
    size_t at = 0;
    out[at++] = (uint8_t)(0x80 | opcode);
    if (payload_bytes < 126) {
        out[at++] = (uint8_t)(0x80 | payload_bytes);
    } else if (payload_bytes <= UINT16_MAX) {
        out[at++] = 0x80 | 126;
        out[at++] = (uint8_t)(payload_bytes >> 8);
        out[at++] = (uint8_t)payload_bytes;
    } else {
        out[at++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            out[at++] = (uint8_t)((uint64_t)payload_bytes >> shift);
    }
    uint8_t key[4];
    memcpy(key, &mask, sizeof key);
    memcpy(out + at, key, sizeof key);
    at += sizeof key;
    for (size_t i = 0; i < payload_bytes; i++)
        out[at + i] = payload[i] ^ key[i & 3];
    return at + payload_bytes;
}
