/* A chunked body: whole, in two pieces and byte by byte are one. */

#include "fuzz.h"

typedef struct body {
    int answer;
    size_t consumed;
    size_t data_count;
    uint8_t *data;
} body;

/* Decodes pieces of `step` bytes, the first of them `first` bytes long. */
static body decode(const uint8_t *bytes, size_t count, size_t first, size_t step) {
    ps_http_chunks chunks = {0};
    body result = {.answer = PS_PARTIAL, .data = malloc(count + 1)};
    REQUIRE(result.data != NULL);
    size_t size = first;
    for (size_t start = 0; start < count && result.answer == PS_PARTIAL; start += size) {
        size = start == 0 ? first : step;
        size = size < count - start ? size : count - start;
        uint8_t *piece = exact_copy(bytes + start, size);
        size_t taken = size;
        size_t data_count = 0;
        result.answer = ps_http_chunks_decode(&chunks, piece, &taken, &data_count);
        REQUIRE(taken <= size && data_count <= taken);
        REQUIRE(result.answer != PS_PARTIAL || taken == size);
        memcpy(result.data + result.data_count, piece, data_count);
        result.data_count += data_count;
        result.consumed += taken;
        free(piece);
    }
    REQUIRE(chunks.data_bytes == result.data_count);
    REQUIRE(chunks.data_bytes + chunks.overhead_bytes == result.consumed);
    REQUIRE(chunks.overhead_bytes <= 65537);
    return result;
}

static void require_same(body one, body other) {
    REQUIRE(one.answer == other.answer && one.consumed == other.consumed);
    REQUIRE(one.data_count == other.data_count);
    REQUIRE(memcmp(one.data, other.data, one.data_count) == 0);
    free(other.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (count == 0) {
        return 0;
    }
    body whole = decode(bytes, count, count, count);
    require_same(whole, decode(bytes, count, 1, 1));
    require_same(whole, decode(bytes, count, 1 + digest(bytes, count) % count, count));
    require_same(whole, decode(bytes, count, 3, 7));
    free(whole.data);
    return 0;
}
