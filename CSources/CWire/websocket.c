#include "websocket_client.h"

#include <string.h>

enum {
    FIN = 0x80,
    RSV1 = 0x40,
    RSV2_RSV3 = 0x30,
    OPCODE = 0x0f,
    MASKED = 0x80,
    LENGTH = 0x7f,
    LENGTH_IN_2 = 126,
    LENGTH_IN_8 = 127,
};

static bool is_control(uint8_t opcode) {
    return opcode >= PS_WS_CLOSE;
}

static bool is_reserved(uint8_t opcode) {
    return (opcode > PS_WS_BINARY && opcode < PS_WS_CLOSE) || opcode > PS_WS_PONG;
}

static bool first_byte_is_valid(const ps_ws_header *header, uint8_t byte, bool allows_compressed) {
    if ((byte & RSV2_RSV3) != 0 || is_reserved(header->opcode)) {
        return false;
    }
    if (is_control(header->opcode) && !header->fin) {
        return false;
    }
    bool begins_message = header->opcode == PS_WS_TEXT || header->opcode == PS_WS_BINARY;
    return !header->compressed || (allows_compressed && begins_message);
}

/* Reads the extended length from what is there of its `size` bytes; malformed as soon as no rest
 * could make it the shortest form (RFC 6455 §5.2). */
static int read_length(uint64_t *length, const uint8_t *bytes, size_t count, size_t size) {
    size_t available = count < size ? count : size;
    *length = 0;
    for (size_t i = 0; i < available; i++) {
        *length = *length << 8 | bytes[i];
    }
    if (size == 8) {
        bool has_top_bit = available > 0 && bytes[0] >= 0x80;
        bool fits_in_2 = available >= 6 && *length >> (8 * (available - 6)) == 0;
        if (has_top_bit || fits_in_2) {
            return PS_MALFORMED;
        }
    } else if (available == 2 && *length < LENGTH_IN_2) {
        return PS_MALFORMED;
    }
    return available == size ? PS_DONE : PS_PARTIAL;
}

/* The part that both sides share: everything but the mask. `*position` is where that begins. */
static int parse_header(
    ps_ws_header *header, const uint8_t *bytes, size_t count, bool allows_compressed,
    bool is_masked, size_t *position) {
    if (count == 0) {
        return PS_PARTIAL;
    }
    header->fin = (bytes[0] & FIN) != 0;
    header->compressed = (bytes[0] & RSV1) != 0;
    header->opcode = bytes[0] & OPCODE;
    if (!first_byte_is_valid(header, bytes[0], allows_compressed)) {
        return PS_MALFORMED;
    }
    if (count == 1) {
        return PS_PARTIAL;
    }
    header->payload_bytes = bytes[1] & LENGTH;
    if (((bytes[1] & MASKED) != 0) != is_masked
        || (is_control(header->opcode) && header->payload_bytes > PS_WS_CONTROL_PAYLOAD_MAX)) {
        return PS_MALFORMED;
    }
    *position = 2;
    if (header->payload_bytes >= LENGTH_IN_2) {
        size_t size = header->payload_bytes == LENGTH_IN_2 ? 2 : 8;
        int answer = read_length(&header->payload_bytes, bytes + 2, count - 2, size);
        if (answer != PS_DONE) {
            return answer;
        }
        *position += size;
    }
    return PS_DONE;
}

int ps_ws_parse_header(
    ps_ws_header *header, const uint8_t *bytes, size_t count, bool allows_compressed) {
    size_t position;
    int answer = parse_header(header, bytes, count, allows_compressed, true, &position);
    if (answer != PS_DONE) {
        return answer;
    }
    if (count - position < sizeof header->mask) {
        return PS_PARTIAL;
    }
    memcpy(header->mask, bytes + position, sizeof header->mask);
    header->header_bytes = (uint8_t)(position + sizeof header->mask);
    return PS_DONE;
}

int ps_ws_parse_server_header(ps_ws_header *header, const uint8_t *bytes, size_t count) {
    size_t position;
    int answer = parse_header(header, bytes, count, false, false, &position);
    if (answer == PS_DONE) {
        header->header_bytes = (uint8_t)position;
    }
    return answer;
}

void ps_ws_unmask(uint8_t *bytes, size_t count, const uint8_t mask[4], size_t phase) {
    uint8_t key[8];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = mask[(phase + i) & 3];
    }
    uint64_t key_word;
    memcpy(&key_word, key, sizeof key_word);
    size_t i = 0;
    for (; count - i >= sizeof key_word; i += sizeof key_word) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        word ^= key_word;
        memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < count; i++) {
        bytes[i] ^= key[i & 7];
    }
}

size_t ps_ws_write_header(uint8_t *out, uint8_t opcode, bool compressed, uint64_t payload_bytes) {
    out[0] = (uint8_t)(FIN | (compressed ? RSV1 : 0) | opcode);
    size_t size = payload_bytes < LENGTH_IN_2 ? 0 : payload_bytes <= UINT16_MAX ? 2 : 8;
    out[1] = (uint8_t)(size == 0 ? payload_bytes : size == 2 ? LENGTH_IN_2 : LENGTH_IN_8);
    for (size_t i = 0; i < size; i++) {
        out[2 + i] = (uint8_t)(payload_bytes >> (8 * (size - 1 - i)));
    }
    return 2 + size;
}

size_t ps_ws_write_client_header(
    uint8_t *out, uint8_t opcode, uint64_t payload_bytes, const uint8_t mask[4]) {
    size_t position = ps_ws_write_header(out, opcode, false, payload_bytes);
    out[1] |= MASKED;
    memcpy(out + position, mask, 4);
    return position + 4;
}

size_t ps_ws_read_server_header(const uint8_t *bytes, uint8_t *opcode, size_t *payload_bytes) {
    size_t size = bytes[1] < LENGTH_IN_2 ? 0 : bytes[1] == LENGTH_IN_2 ? 2 : 8;
    *opcode = bytes[0] & OPCODE;
    *payload_bytes = size == 0 ? bytes[1] : 0;
    for (size_t i = 0; i < size; i++) {
        *payload_bytes = *payload_bytes << 8 | bytes[2 + i];
    }
    return 2 + size;
}

uint16_t ps_ws_message_begin_frame(
    ps_ws_message *message, const ps_ws_header *header, const ps_ws_limits *limits) {
    bool continues = header->opcode == PS_WS_CONTINUATION;
    bool is_under_way = message->opcode != 0;
    if (continues != is_under_way) {
        return 1002;
    }
    if (!continues) {
        message->opcode = header->opcode;
        message->compressed = header->compressed;
    }
    if (message->bytes > limits->message_bytes
        || header->payload_bytes > limits->message_bytes - message->bytes) {
        return 1009;
    }
    if (message->fragment_count >= limits->fragment_count) {
        return 1008;
    }
    message->bytes += header->payload_bytes;
    message->fragment_count++;
    return 0;
}

static bool is_plain_text(const ps_ws_message *message) {
    return message->opcode == PS_WS_TEXT && !message->compressed;
}

uint16_t ps_ws_message_feed(ps_ws_message *message, const uint8_t *bytes, size_t count) {
    return !is_plain_text(message) || ps_utf8_feed(&message->utf8, bytes, count) ? 0 : 1007;
}

uint16_t ps_ws_message_end_frame(
    ps_ws_message *message, const ps_ws_header *header, bool *complete) {
    *complete = header->fin;
    return header->fin && is_plain_text(message) && !ps_utf8_ends(&message->utf8) ? 1007 : 0;
}

static bool may_be_sent(uint16_t code) {
    /* RFC 6455 §7.4 and the registry of IANA: 1012 to 1014 came later; from 3000 on, libraries'
     * and applications' own. */
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014)
        || (code >= 3000 && code <= 4999);
}

uint16_t ps_ws_parse_close(uint16_t *code, const uint8_t *payload, size_t count) {
    if (count == 0) {
        *code = 1000;
        return 0;
    }
    if (count == 1) {
        return 1002;
    }
    uint16_t sent = (uint16_t)(payload[0] << 8 | payload[1]);
    if (!may_be_sent(sent)) {
        return 1002;
    }
    if (!ps_utf8_valid(payload + 2, count - 2)) {
        return 1007;
    }
    *code = sent;
    return 0;
}

size_t ps_ws_write_close(uint8_t *out, uint16_t code, const char *reason) {
    size_t count = strlen(reason);
    if (count > PS_WS_CONTROL_PAYLOAD_MAX - 2) {
        count = PS_WS_CONTROL_PAYLOAD_MAX - 2;
        while (count > 0 && ((uint8_t)reason[count] & 0xc0) == 0x80) {
            count--;
        }
    }
    size_t position = ps_ws_write_header(out, PS_WS_CLOSE, false, 2 + count);
    out[position++] = (uint8_t)(code >> 8);
    out[position++] = (uint8_t)code;
    memcpy(out + position, reason, count);
    return position + count;
}
