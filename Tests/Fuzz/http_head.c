/* One request head: the answer does not depend on how it was cut, and what is taken is sound. */

#include "fuzz.h"

static int parse(
    ps_http_head *head, const uint8_t *bytes, size_t count, size_t scanned,
    const ps_http_limits *limits) {
    uint8_t *copy = exact_copy(bytes, count);
    memset(head, 0xa5, sizeof *head);
    int answer = ps_http_parse_head(head, copy, count, scanned, limits);
    free(copy);
    return answer;
}

static bool is_inside(ps_bytes part, const uint8_t *bytes, size_t count) {
    return part.start >= bytes && part.count <= count
        && (size_t)(part.start - bytes) <= count - part.count;
}

static void require_sound_field(const ps_http_field *field, const uint8_t *bytes, size_t count) {
    REQUIRE(is_inside(field->name, bytes, count) && field->name.count > 0);
    REQUIRE(is_inside(field->value, bytes, count));
    for (size_t i = 0; i < field->value.count; i++) {
        uint8_t byte = field->value.start[i];
        REQUIRE((byte >= ' ' || byte == '\t') && byte != 0x7f);
    }
    ps_bytes rest = field->value;
    ps_bytes element;
    while (ps_http_list_next(&rest, &element)) {
        REQUIRE(is_inside(element, bytes, count));
        REQUIRE(rest.count < field->value.count);
    }
}

/* The same from the front as from the back. */
static void require_all_found(const ps_http_head *head, const char *name) {
    uint32_t count = ps_http_count(head, name);
    REQUIRE(!ps_http_find_last(head, name, count).start);
    REQUIRE(!ps_http_find(head, name).start == (count == 0));
    for (uint32_t i = 0; i < count; i++) {
        ps_bytes value = ps_http_find_last(head, name, i);
        REQUIRE(value.start && (i + 1 < count || value.start == ps_http_find(head, name).start));
    }
}

static void require_sound(const ps_http_head *head, const uint8_t *bytes, size_t count) {
    REQUIRE(head->head_bytes <= count && memcmp(bytes + head->head_bytes - 4, "\r\n\r\n", 4) == 0);
    REQUIRE(is_inside(head->method_text, bytes, count) && head->method_text.count > 0);
    REQUIRE(is_inside(head->target, bytes, count) && head->path.count > 0);
    REQUIRE(is_inside(head->query, bytes, count));
    REQUIRE(head->host.count > 0 || head->minor_version_is_0);
    REQUIRE(!(head->chunked && (head->has_content_length || head->minor_version_is_0)));
    REQUIRE(head->content_length == 0 || head->has_content_length);
    REQUIRE(head->content_length <= INT64_MAX);
    REQUIRE(head->field_count <= PS_HTTP_FIELDS_MAX);
    REQUIRE(ps_http_count(head, "content-length") == head->has_content_length);
    REQUIRE(ps_http_count(head, "transfer-encoding") == head->chunked);
    REQUIRE(ps_http_count(head, "host") + head->minor_version_is_0 >= 1);
    for (uint32_t i = 0; i < head->field_count; i++) {
        require_sound_field(&head->fields[i], bytes, count);
    }
    require_all_found(head, "host");
    require_all_found(head, "x-forwarded-for");
    uint16_t status = ps_ws_check_handshake(head);
    REQUIRE(status == 0 || status == 101 || status == 400 || status == 405 || status == 426);
    if (status == 101) {
        char accept[PS_WS_ACCEPT_BYTES];
        ps_ws_accept_key(accept, ps_http_find(head, "sec-websocket-key"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    uint64_t choice = digest(bytes, count);
    bool is_tight = choice % 4 == 0;
    ps_http_limits limits = {
        .request_line_bytes = is_tight ? 16 + choice / 8 % 32 : 8192,
        .head_bytes = is_tight ? 32 + choice / 256 % 96 : 16384,
        .field_count = is_tight ? 3 : PS_HTTP_FIELDS_MAX,
    };
    static ps_http_head whole, part;
    uint8_t *copy = exact_copy(bytes, count);
    memset(&whole, 0xa5, sizeof whole);
    int answer = ps_http_parse_head(&whole, copy, count, 0, &limits);
    if (answer == PS_DONE) {
        require_sound(&whole, copy, count);
    }
    free(copy);

    for (size_t step = 0; count > 0 && step < 8; step++) {
        size_t cut = (choice >> (8 * step)) % count;
        int first = parse(&part, bytes, cut, 0, &limits);
        if (first != PS_PARTIAL) { /* then more bytes change nothing */
            REQUIRE(first == answer);
            REQUIRE(first == PS_MALFORMED ? part.status == whole.status
                                          : part.head_bytes == whole.head_bytes);
            continue;
        }
        int second = parse(&part, bytes, count, cut, &limits);
        /* A continued head may be told to be malformed later, never otherwise. */
        REQUIRE(second == answer || (second == PS_PARTIAL && answer == PS_MALFORMED && cut > 0));
        if (second == PS_MALFORMED) {
            REQUIRE(part.status == whole.status);
        } else if (second == PS_DONE) {
            REQUIRE(part.head_bytes == whole.head_bytes);
            REQUIRE(part.field_count == whole.field_count);
        }
    }
    if (answer == PS_DONE) {
        REQUIRE(parse(&part, bytes, whole.head_bytes, 0, &limits) == PS_DONE);
        REQUIRE(parse(&part, bytes, whole.head_bytes - 1, 0, &limits) == PS_PARTIAL);
    }
    return 0;
}
