#include "handshake.h"

#include <string.h>

enum {
    BLOCK_BYTES = 64,
    LENGTH_BYTES = 8,
};

static uint32_t rotated(uint32_t word, unsigned bits) {
    return word << bits | word >> (32 - bits);
}

/* FIPS 180-4 §6.1.2. */
static void digest_block(uint32_t hash[5], const uint8_t *block) {
    uint32_t words[80];
    for (size_t t = 0; t < 16; t++) {
        words[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16
            | (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    }
    for (size_t t = 16; t < 80; t++) {
        words[t] = rotated(words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16], 1);
    }
    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (size_t t = 0; t < 80; t++) {
        uint32_t mixed, constant;
        if (t < 20) {
            mixed = (b & c) | (~b & d);
            constant = 0x5a827999;
        } else if (t < 40) {
            mixed = b ^ c ^ d;
            constant = 0x6ed9eba1;
        } else if (t < 60) {
            mixed = (b & c) | (b & d) | (c & d);
            constant = 0x8f1bbcdc;
        } else {
            mixed = b ^ c ^ d;
            constant = 0xca62c1d6;
        }
        uint32_t next = rotated(a, 5) + mixed + e + constant + words[t];
        e = d;
        d = c;
        c = rotated(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

void ps_sha1(uint8_t out[20], const uint8_t *bytes, size_t count) {
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    size_t position = 0;
    for (; count - position >= BLOCK_BYTES; position += BLOCK_BYTES) {
        digest_block(hash, bytes + position);
    }

    /* §5.1.1: a one bit, zeros, and the length in bits at the end of a block. */
    uint8_t tail[2 * BLOCK_BYTES] = {0};
    size_t rest = count - position;
    size_t tail_bytes = rest + 1 + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    if (rest > 0) {
        memcpy(tail, bytes + position, rest);
    }
    tail[rest] = 0x80;
    uint64_t bit_count = (uint64_t)count * 8;
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        tail[tail_bytes - 1 - i] = (uint8_t)(bit_count >> (8 * i));
    }
    for (size_t block = 0; block < tail_bytes; block += BLOCK_BYTES) {
        digest_block(hash, tail + block);
    }
    for (size_t i = 0; i < 20; i++) {
        out[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
    }
}
