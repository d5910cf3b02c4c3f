/* A PROXY header: the same answer however it is cut, within what was given, and what is done stays
 * done whatever follows. */

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    ps_proxy_header whole;
    uint8_t *copy = exact_copy(bytes, count);
    int answer = ps_proxy_parse(&whole, copy, count);
    int begins = ps_proxy_begins(copy, count);
    free(copy);
    REQUIRE(answer != PS_DONE || (begins == PS_DONE && whole.header_bytes <= count));
    REQUIRE(answer != PS_DONE || whole.header_bytes <= PS_PROXY_HEADER_MAX);
    REQUIRE(begins != PS_MALFORMED || answer == PS_MALFORMED);
    for (size_t cut = 0; cut < count && cut < 300; cut++) {
        ps_proxy_header part;
        uint8_t *start = exact_copy(bytes, cut);
        int early = ps_proxy_parse(&part, start, cut);
        free(start);
        if (answer == PS_DONE && cut >= whole.header_bytes) {
            REQUIRE(early == PS_DONE && part.header_bytes == whole.header_bytes);
            REQUIRE(part.has_address == whole.has_address && part.port == whole.port);
            REQUIRE(memcmp(part.address, whole.address, sizeof part.address) == 0);
        } else if (answer == PS_DONE || answer == PS_PARTIAL) {
            REQUIRE(early == PS_PARTIAL);
        } else {
            REQUIRE(early != PS_DONE);
        }
    }
    return 0;
}
