/* A stream of client's frames, taken as a connection takes them: header, payload in pieces,
 * message, close. How the payload is cut does not matter, and text that is taken is UTF-8. */

#include "fuzz.h"

enum { MESSAGE_BYTES = 160, FRAGMENTS = 8 };

/* What came of the stream, as one number for each step. */
typedef struct story {
    uint64_t hash;
    uint8_t text[MESSAGE_BYTES];
    size_t text_count;
} story;

static void tell(story *told, uint64_t what) {
    told->hash = (told->hash ^ what) * 0x100000001b3;
}

static int parse_header(
    ps_ws_header *header, const uint8_t *bytes, size_t count, bool allows_compressed) {
    count = count < PS_WS_CLIENT_HEADER_BYTES_MAX ? count : PS_WS_CLIENT_HEADER_BYTES_MAX;
    uint8_t *copy = exact_copy(bytes, count);
    memset(header, 0xa5, sizeof *header);
    int answer = ps_ws_parse_header(header, copy, count, allows_compressed);
    free(copy);
    return answer;
}

/* Each prefix of a header is partial until the answer is certain; then it stays. */
static int require_steady_header(
    ps_ws_header *header, const uint8_t *bytes, size_t count, bool allows_compressed) {
    int answer = PS_PARTIAL;
    size_t most = count < PS_WS_CLIENT_HEADER_BYTES_MAX ? count : PS_WS_CLIENT_HEADER_BYTES_MAX;
    for (size_t cut = 0; cut <= most; cut++) {
        ps_ws_header part;
        int next = parse_header(&part, bytes, cut, allows_compressed);
        REQUIRE(answer == PS_PARTIAL || next == answer);
        if (next == PS_DONE && answer == PS_PARTIAL) {
            REQUIRE(part.header_bytes == cut);
        }
        answer = next;
        *header = part;
    }
    REQUIRE(most < PS_WS_CLIENT_HEADER_BYTES_MAX || answer != PS_PARTIAL);
    if (answer == PS_DONE) {
        bool is_control = header->opcode >= PS_WS_CLOSE;
        REQUIRE(!is_control || (header->fin && !header->compressed));
        REQUIRE(!is_control || header->payload_bytes <= PS_WS_CONTROL_PAYLOAD_MAX);
        uint8_t out[PS_WS_SERVER_HEADER_BYTES_MAX];
        size_t written = ps_ws_write_header(
            out, header->opcode, header->compressed, header->payload_bytes);
        REQUIRE(written + 4 == header->header_bytes);
        REQUIRE(memcmp(out + 2, bytes + 2, written - 2) == 0);
    }
    return answer;
}

/* The client's side reads what a server may send, and writes what a server reads. */
static void require_client_headers(const uint8_t *bytes, size_t count) {
    size_t most = count < PS_WS_SERVER_HEADER_BYTES_MAX ? count : PS_WS_SERVER_HEADER_BYTES_MAX;
    uint8_t *copy = exact_copy(bytes, most);
    ps_ws_header header;
    int answer = ps_ws_parse_server_header(&header, copy, most);
    free(copy);
    if (answer != PS_DONE) {
        REQUIRE(answer == PS_MALFORMED || most < PS_WS_SERVER_HEADER_BYTES_MAX);
        return;
    }
    uint8_t out[PS_WS_CLIENT_HEADER_BYTES_MAX];
    size_t written = ps_ws_write_header(out, header.opcode, false, header.payload_bytes);
    REQUIRE(written == header.header_bytes && memcmp(out + 1, bytes + 1, written - 1) == 0);
    static const uint8_t mask[4] = {1, 2, 3, 4};
    written = ps_ws_write_client_header(out, header.opcode, header.payload_bytes, mask);
    ps_ws_header again;
    REQUIRE(ps_ws_parse_header(&again, out, written, false) == PS_DONE);
    REQUIRE(again.header_bytes == written && again.opcode == header.opcode && again.fin);
    REQUIRE(again.payload_bytes == header.payload_bytes && memcmp(again.mask, mask, 4) == 0);
}

static uint8_t *unmasked(const ps_ws_header *header, const uint8_t *bytes, size_t count) {
    uint8_t *payload = exact_copy(bytes, count);
    size_t cut = count / 3;
    ps_ws_unmask(payload, cut, header->mask, 0);
    ps_ws_unmask(payload + cut, count - cut, header->mask, cut);
    uint8_t *again = exact_copy(payload, count);
    ps_ws_unmask(again, count, header->mask, 0);
    REQUIRE(memcmp(again, bytes, count) == 0);
    free(again);
    return payload;
}

static void take_close(story *told, const uint8_t *payload, size_t count) {
    uint16_t code = 0;
    uint16_t violation = ps_ws_parse_close(&code, payload, count);
    tell(told, violation << 16 | code);
    if (violation != 0) {
        REQUIRE(violation == 1002 || violation == 1007);
        return;
    }
    char reason[126] = {0};
    memcpy(reason, payload + (count > 2 ? 2 : count), count > 2 ? count - 2 : 0);
    uint8_t out[127];
    size_t written = ps_ws_write_close(out, code, reason);
    uint16_t again = 0;
    REQUIRE(ps_ws_parse_close(&again, out + 2, written - 2) == 0 && again == code);
}

/* False where the connection would end. */
static bool take_data(
    story *told, ps_ws_message *message, const ps_ws_header *header, const uint8_t *payload,
    size_t count, size_t step) {
    bool is_short = count < header->payload_bytes;
    for (size_t start = 0; start < count; start += step) {
        size_t size = step < count - start ? step : count - start;
        uint16_t code = ps_ws_message_feed(message, payload + start, size);
        if (code != 0) {
            REQUIRE(code == 1007 && message->opcode == PS_WS_TEXT);
            tell(told, code);
            return false;
        }
    }
    if (is_short) {
        return false;
    }
    REQUIRE(told->text_count + count <= MESSAGE_BYTES);
    memcpy(told->text + told->text_count, payload, count);
    told->text_count += count;
    bool complete = false;
    uint16_t code = ps_ws_message_end_frame(message, header, &complete);
    tell(told, code << 1 | complete);
    bool is_text = message->opcode == PS_WS_TEXT && !message->compressed;
    if (complete && is_text) {
        REQUIRE(is_utf8(told->text, told->text_count) == (code == 0));
    }
    if (complete) {
        REQUIRE(message->bytes == told->text_count);
        *message = (ps_ws_message){0};
        told->text_count = 0;
    }
    return code == 0;
}

/* With `step` 0 the payload goes in one piece, and headers are tried cut at every point. */
static uint64_t converse(
    const uint8_t *bytes, size_t count, bool allows_compressed, size_t step) {
    ps_ws_limits limits = {.message_bytes = MESSAGE_BYTES, .fragment_count = FRAGMENTS};
    ps_ws_message message = {0};
    story told = {0};
    ps_ws_header header;
    for (;;) {
        int answer = step == 0
            ? require_steady_header(&header, bytes, count, allows_compressed)
            : parse_header(&header, bytes, count, allows_compressed);
        if (answer != PS_DONE) {
            tell(&told, answer == PS_MALFORMED);
            break;
        }
        bytes += header.header_bytes;
        count -= header.header_bytes;
        size_t size = header.payload_bytes < count ? header.payload_bytes : count;
        bool is_control = header.opcode >= PS_WS_CLOSE;
        tell(&told, header.opcode);
        if (!is_control) {
            uint16_t code = ps_ws_message_begin_frame(&message, &header, &limits);
            REQUIRE(message.fragment_count <= FRAGMENTS && message.bytes <= MESSAGE_BYTES);
            if (code != 0) {
                tell(&told, code);
                break;
            }
        }
        uint8_t *payload = unmasked(&header, bytes, size);
        bool goes_on = true;
        if (header.opcode == PS_WS_CLOSE && size == header.payload_bytes) {
            take_close(&told, payload, size);
            goes_on = false;
        } else if (!is_control) {
            goes_on = take_data(&told, &message, &header, payload, size, step == 0 ? size : step);
        }
        free(payload);
        bytes += size;
        count -= size;
        if (!goes_on) {
            break;
        }
    }
    return told.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    require_client_headers(bytes, count);
    for (int allows_compressed = 0; allows_compressed < 2; allows_compressed++) {
        uint64_t whole = converse(bytes, count, allows_compressed, 0);
        REQUIRE(converse(bytes, count, allows_compressed, 1) == whole);
        REQUIRE(converse(bytes, count, allows_compressed, 3) == whole);
    }
    return 0;
}
