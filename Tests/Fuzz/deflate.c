/* Handshakes' offers of permessage-deflate, and compressed messages: what is expanded stays within
 * its limit and does not depend on what came before; what is compressed expands to itself. */

#include "../../CSources/CReactor/deflate.h"
#include "fuzz.h"

enum { LIMIT = 10000 };

static void require_same_answer(ps_deflate *codec, const uint8_t *bytes, size_t count) {
    ps_bytes first, again;
    uint8_t *copy = exact_copy(bytes, count);
    uint16_t code = ps_inflate_message(codec, copy, count, LIMIT, &first);
    REQUIRE(code == 0 || code == 1007 || code == 1009);
    REQUIRE((first.count > LIMIT) == (code == 1009));
    uint8_t *kept = exact_copy(first.start, first.count);
    size_t kept_count = first.count;
    REQUIRE(ps_inflate_message(codec, copy, count, LIMIT, &again) == code);
    REQUIRE(again.count == kept_count && memcmp(again.start, kept, kept_count) == 0);
    if (code == 0 && kept_count > 0) {
        REQUIRE(ps_inflate_message(codec, copy, count, kept_count, &again) == 0);
        REQUIRE(ps_inflate_message(codec, copy, count, kept_count - 1, &again) == 1009);
    }
    free(kept);
    free(copy);
}

static void require_round_trip(ps_deflate *codec, const uint8_t *bytes, size_t count) {
    ps_bytes deflated, inflated;
    if (ps_deflate_message(codec, bytes, count, &deflated)) {
        REQUIRE(deflated.count < count);
        REQUIRE(ps_inflate_message(codec, deflated.start, deflated.count, count, &inflated) == 0);
        REQUIRE(inflated.count == count && memcmp(inflated.start, bytes, count) == 0);
    }
}

static void read_offer(const uint8_t *bytes, size_t count) {
    uint8_t *copy = exact_copy(bytes, count);
    ps_http_head head = {.field_count = 1};
    static const char name[] = "Sec-WebSocket-Extensions";
    head.fields[0].name = (ps_bytes){(const uint8_t *)name, sizeof name - 1};
    head.fields[0].value = (ps_bytes){copy, count};
    bool names_window = false;
    if (ps_ws_offers_deflate(&head, &names_window)) {
        REQUIRE(count >= strlen("permessage-deflate"));
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static ps_deflate *codec;
    codec = codec ? codec : ps_deflate_create();
    require_same_answer(codec, bytes, count);
    require_round_trip(codec, bytes, count);
    read_offer(bytes, count);
    return 0;
}
