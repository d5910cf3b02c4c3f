/* UTF-8 in pieces against its definition, and lists. */

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
    require_list_laws(copy, count);
    free(copy);
    return 0;
}
