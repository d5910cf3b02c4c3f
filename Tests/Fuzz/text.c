/* UTF-8 in pieces against its definition, escapes, lists and tokens. */

#include "fuzz.h"

static void require_utf8_laws(const uint8_t *bytes, size_t count) {
    bool expected = is_utf8(bytes, count);
    REQUIRE(ps_utf8_valid(bytes, count) == expected);
    for (size_t step = 1; step < 10; step += 2) {
        ps_utf8 utf8 = {0};
        bool is_good = true;
        for (size_t start = 0; start < count; start += step) {
            size_t size = step < count - start ? step : count - start;
            bool goes_on = ps_utf8_feed(&utf8, bytes + start, size);
            REQUIRE(is_good || !goes_on);
            is_good = goes_on;
            REQUIRE(!is_good || !ps_utf8_ends(&utf8) || is_utf8(bytes, start + size));
        }
        REQUIRE((is_good && ps_utf8_ends(&utf8)) == expected);
    }
}

static void require_percent_laws(const uint8_t *bytes, size_t count, bool plus_is_space) {
    uint8_t *out = malloc(count + 1);
    REQUIRE(out != NULL);
    ptrdiff_t decoded = ps_percent_decode(out, count, (ps_bytes){bytes, count}, plus_is_space);
    REQUIRE(decoded >= -1 && decoded <= (ptrdiff_t)count);
    if (decoded >= 0) {
        size_t escapes = 0;
        for (size_t i = 0; i < count; i++) {
            escapes += bytes[i] == '%';
        }
        REQUIRE((size_t)decoded == count - 2 * escapes);

        /* Every byte escaped and decoded is itself. */
        uint8_t *escaped = malloc(3 * (size_t)decoded + 1);
        uint8_t *again = malloc((size_t)decoded + 1);
        REQUIRE(escaped != NULL && again != NULL);
        for (ptrdiff_t i = 0; i < decoded; i++) {
            snprintf((char *)escaped + 3 * i, 4, "%%%02x", out[i]);
        }
        ps_bytes text = {escaped, 3 * (size_t)decoded};
        REQUIRE(ps_percent_decode(again, (size_t)decoded, text, plus_is_space) == decoded);
        REQUIRE(memcmp(again, out, (size_t)decoded) == 0);
        if (decoded > 0) {
            REQUIRE(ps_percent_decode(again, (size_t)decoded - 1, text, plus_is_space) == -2);
        }
        free(escaped);
        free(again);
    }
    free(out);
}

static void require_list_laws(const uint8_t *bytes, size_t count) {
    ps_bytes rest = {bytes, count};
    ps_bytes element;
    size_t sum = 0;
    while (ps_http_list_next(&rest, &element)) {
        REQUIRE(element.count > 0 && element.start >= bytes);
        REQUIRE(element.start + element.count <= rest.start);
        REQUIRE(rest.start + rest.count == bytes + count);
        sum += element.count;
    }
    REQUIRE(sum <= count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    uint8_t *copy = exact_copy(bytes, count);
    require_utf8_laws(copy, count);
    require_percent_laws(copy, count, false);
    require_percent_laws(copy, count, true);
    require_list_laws(copy, count);
    free(copy);
    return 0;
}
