/* What the fuzz targets share. */
#ifndef PS_FUZZ_H
#define PS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cwire.h"

/* A law that must hold for every input; never compiled out. */
#define REQUIRE(law)                                                                \
    do {                                                                            \
        if (!(law)) {                                                               \
            fprintf(stderr, "%s:%d: broken law: %s\n", __FILE__, __LINE__, #law);   \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* A copy of exactly its size on the heap, so that one byte too far is seen; free it. */
static inline uint8_t *exact_copy(const uint8_t *bytes, size_t count) {
    uint8_t *copy = malloc(count > 0 ? count : 1);
    REQUIRE(copy != NULL);
    memcpy(copy, bytes, count);
    return copy;
}

/* A number from the input itself, so that a finding is one file: FNV-1a. */
static inline uint64_t digest(const uint8_t *bytes, size_t count) {
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    }
    return hash ^ hash >> 29;
}

/* UTF-8 by its definition: decodes each character and asks whether it needed that many bytes. */
static inline bool is_utf8(const uint8_t *bytes, size_t count) {
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < count;) {
        uint8_t first = bytes[i++];
        size_t more = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : 3;
        uint32_t scalar = more == 0 ? first : first & (0x3fu >> more);
        if ((more == 3 && first >> 3 != 30) || count - i < more) {
            return false;
        }
        for (size_t j = 0; j < more; j++, i++) {
            if (bytes[i] >> 6 != 2) {
                return false;
            }
            scalar = scalar << 6 | (bytes[i] & 0x3f);
        }
        if (scalar < smallest[more] || scalar > 0x10ffff || (scalar >> 11) == 0x1b) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#endif
