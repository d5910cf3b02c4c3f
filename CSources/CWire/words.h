/* Eight bytes at a time, for the loops that pass over ordinary text. Exact up to the first byte
 * that matches: a borrow can only reach the bytes after it. */
#ifndef PS_WORDS_H
#define PS_WORDS_H

#include <stdint.h>
#include <string.h>

static inline uint64_t ps_word_load(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint64_t ps_word_repeat(uint8_t byte) {
    return 0x0101010101010101u * byte;
}

/* The top bit of each byte that is below `limit` (at most 128). */
static inline uint64_t ps_word_below(uint64_t word, uint8_t limit) {
    return (word - ps_word_repeat(limit)) & ~word & ps_word_repeat(0x80);
}

/* The top bit of each byte that equals `byte`. */
static inline uint64_t ps_word_equal(uint64_t word, uint8_t byte) {
    return ps_word_below(word ^ ps_word_repeat(byte), 1);
}

/* Index of the lowest matching byte of a result that is not 0. */
static inline unsigned ps_word_first(uint64_t matches) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (unsigned)__builtin_ctzll(matches) / 8;
#else
#error "the words are read with the first byte lowest"
#endif
}

#endif
