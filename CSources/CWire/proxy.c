#include "proxy.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t signature[] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10};
static const uint8_t word[] = {'P', 'R', 'O', 'X', 'Y', ' '};

enum {
    V1_MAX = 107,       /* with CRLF */
    V2_HEAD_BYTES = 16,
    TLV_CRC32C = 0x03,
};

static int begins_with(
    const uint8_t *bytes, size_t count, const uint8_t *start, size_t start_count) {
    size_t common = count < start_count ? count : start_count;
    if (memcmp(bytes, start, common) != 0) {
        return PS_MALFORMED;
    }
    return count < start_count ? PS_PARTIAL : PS_DONE;
}

int ps_proxy_begins(const uint8_t *bytes, size_t count) {
    int text = begins_with(bytes, count, word, sizeof word);
    return text != PS_MALFORMED ? text : begins_with(bytes, count, signature, sizeof signature);
}

/* ---- Version 1: a line ---- */

/* What is left of the line. */
struct line {
    const uint8_t *next, *end;
};

/* Takes what stands before one space, or before the end where `is_last`. */
static bool take_token(struct line *line, bool is_last, ps_bytes *token) {
    const uint8_t *space = memchr(line->next, ' ', (size_t)(line->end - line->next));
    if (is_last != (space == NULL)) {
        return false;
    }
    const uint8_t *end = is_last ? line->end : space;
    *token = (ps_bytes){line->next, (size_t)(end - line->next)};
    line->next = is_last ? end : end + 1;
    return token->count > 0;
}

/* Decimal, without sign or leading zeros. Returns -1 for anything else. */
static int32_t number(const uint8_t *digits, size_t count, int32_t max) {
    if (count == 0 || count > 5 || (count > 1 && digits[0] == '0')) {
        return -1;
    }
    int32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return -1;
        }
        value = value * 10 + (digits[i] - '0');
    }
    return value <= max ? value : -1;
}

static void map_ipv4(uint8_t out[16], const uint8_t ipv4[4]) {
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, ipv4, 4);
}

static bool read_ipv4(ps_bytes text, uint8_t out[16]) {
    uint8_t ipv4[4];
    const uint8_t *next = text.start;
    const uint8_t *end = text.start + text.count;
    for (int i = 0; i < 4; i++) {
        const uint8_t *dot = i < 3 ? memchr(next, '.', (size_t)(end - next)) : end;
        int32_t value = dot ? number(next, (size_t)(dot - next), 255) : -1;
        if (value < 0) {
            return false;
        }
        ipv4[i] = (uint8_t)value;
        next = dot + 1;
    }
    map_ipv4(out, ipv4);
    return true;
}

static bool read_ipv6(ps_bytes text, uint8_t out[16]) {
    char copy[INET6_ADDRSTRLEN];
    if (text.count >= sizeof copy) {
        return false;
    }
    for (size_t i = 0; i < text.count; i++) {
        copy[i] = (char)text.start[i];
    }
    copy[text.count] = 0;
    return strlen(copy) == text.count && inet_pton(AF_INET6, copy, out) == 1;
}

static bool read_line(ps_proxy_header *header, struct line line) {
    ps_bytes family, source, destination, source_port, destination_port;
    size_t count = (size_t)(line.end - line.next);
    if (count >= 7 && memcmp(line.next, "UNKNOWN", 7) == 0) {
        return count == 7 || line.next[7] == ' '; /* whatever follows is to be ignored */
    }
    uint8_t other[16];
    if (!take_token(&line, false, &family) || !take_token(&line, false, &source)
        || !take_token(&line, false, &destination) || !take_token(&line, false, &source_port)
        || !take_token(&line, true, &destination_port) || family.count != 4) {
        return false;
    }
    bool (*read)(ps_bytes, uint8_t[16]) = NULL;
    if (memcmp(family.start, "TCP4", 4) == 0) {
        read = read_ipv4;
    } else if (memcmp(family.start, "TCP6", 4) == 0) {
        read = read_ipv6;
    }
    int32_t port = number(source_port.start, source_port.count, 65535);
    if (!read || !read(source, header->address) || !read(destination, other) || port < 0
        || number(destination_port.start, destination_port.count, 65535) < 0) {
        return false;
    }
    header->port = (uint16_t)port;
    header->has_address = true;
    return true;
}

static int parse_line(ps_proxy_header *header, const uint8_t *bytes, size_t count) {
    size_t seen = count < V1_MAX ? count : V1_MAX;
    const uint8_t *feed = memchr(bytes, '\n', seen);
    if (!feed) {
        return count >= V1_MAX ? PS_MALFORMED : PS_PARTIAL;
    }
    if (feed[-1] != '\r' || memchr(bytes, '\r', (size_t)(feed - bytes)) != feed - 1
        || !read_line(header, (struct line){bytes + sizeof word, feed - 1})) {
        return PS_MALFORMED;
    }
    header->header_bytes = (uint32_t)(feed + 1 - bytes);
    return PS_DONE;
}

/* ---- Version 2: binary ---- */

static uint16_t read16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t read32(const uint8_t *bytes) {
    return (uint32_t)read16(bytes) << 16 | read16(bytes + 2);
}

/* CRC32c (RFC 9260, appendix A), bit by bit: once for a connection. The four bytes at `hole` count
 * as zero. */
static uint32_t crc32c(const uint8_t *bytes, size_t count, const uint8_t *hole) {
    uint32_t crc = 0xffffffff;
    for (const uint8_t *next = bytes; next < bytes + count; next++) {
        crc ^= next >= hole && next < hole + 4 ? 0 : *next;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

/* Type, length, value, one after another up to the header's end. */
static bool check_tlvs(const uint8_t *bytes, size_t start, size_t count) {
    while (start < count) {
        if (count - start < 3) {
            return false;
        }
        uint8_t type = bytes[start];
        size_t length = read16(bytes + start + 1);
        start += 3;
        if (length > count - start) {
            return false;
        }
        if (type == TLV_CRC32C
            && (length != 4
                || read32(bytes + start) != crc32c(bytes, count, bytes + start))) {
            return false;
        }
        start += length;
    }
    return true;
}

static int parse_binary(ps_proxy_header *header, const uint8_t *bytes, size_t count) {
    if (count < V2_HEAD_BYTES) {
        return PS_PARTIAL;
    }
    uint8_t version = bytes[12] >> 4, command = bytes[12] & 15;
    uint8_t family = bytes[13] >> 4, protocol = bytes[13] & 15;
    size_t length = read16(bytes + 14);
    size_t whole = V2_HEAD_BYTES + length;
    static const uint16_t address_bytes[] = {0, 12, 36, 216}; /* UNSPEC, INET, INET6, UNIX */
    if (version != 2 || command > 1 || family > 3 || protocol > 2
        || whole > PS_PROXY_HEADER_MAX || (command == 1 && length < address_bytes[family])) {
        return PS_MALFORMED;
    }
    if (count < whole) {
        return PS_PARTIAL;
    }
    header->header_bytes = (uint32_t)whole;
    if (command == 0 || family == 0) {
        return PS_DONE; /* LOCAL, UNSPEC: to be skipped as a whole */
    }
    if (!check_tlvs(bytes, V2_HEAD_BYTES + address_bytes[family], whole)) {
        return PS_MALFORMED;
    }
    const uint8_t *addresses = bytes + V2_HEAD_BYTES;
    if (protocol != 1 || family == 3) {
        return PS_DONE;
    }
    if (family == 1) {
        map_ipv4(header->address, addresses);
        header->port = read16(addresses + 8);
    } else {
        memcpy(header->address, addresses, 16);
        header->port = read16(addresses + 32);
    }
    header->has_address = true;
    return PS_DONE;
}

int ps_proxy_parse(ps_proxy_header *header, const uint8_t *bytes, size_t count) {
    *header = (ps_proxy_header){0};
    int text = begins_with(bytes, count, word, sizeof word);
    if (text == PS_DONE) {
        return parse_line(header, bytes, count);
    }
    if (text == PS_PARTIAL) {
        return PS_PARTIAL;
    }
    int binary = begins_with(bytes, count, signature, sizeof signature);
    return binary == PS_DONE ? parse_binary(header, bytes, count) : binary;
}
