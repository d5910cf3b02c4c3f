#include "handshake.h"

#include <assert.h>
#include <string.h>

enum { KEY_BYTES = 24 };

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_value(uint8_t character) {
    const char *found = character != '\0' ? strchr(base64_alphabet, character) : NULL;
    return found != NULL ? (int)(found - base64_alphabet) : -1;
}

/* 16 bytes make 22 characters, the last of which carries 2 bits, and `==`. */
static bool key_is_canonical(ps_bytes key) {
    if (key.count != KEY_BYTES || key.start[22] != '=' || key.start[23] != '=') {
        return false;
    }
    for (size_t i = 0; i < 22; i++) {
        if (base64_value(key.start[i]) < 0) {
            return false;
        }
    }
    return (base64_value(key.start[21]) & 0x0f) == 0;
}

static bool asks_for_websocket(const ps_http_head *head) {
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (ps_http_name_is(head->fields[i].name, "upgrade")
            && ps_http_list_has(head->fields[i].value, "websocket")) {
            return true;
        }
    }
    return false;
}

uint16_t ps_ws_check_handshake(const ps_http_head *head) {
    if (!asks_for_websocket(head)) {
        return 0;
    }
    if (head->method != PS_HTTP_GET) {
        return 405;
    }
    bool has_body = head->chunked || head->content_length > 0;
    if (head->minor_version_is_0 || has_body || !head->upgrade) {
        return 400;
    }
    if (ps_http_count(head, "sec-websocket-key") != 1
        || !key_is_canonical(ps_http_find(head, "sec-websocket-key"))) {
        return 400;
    }
    if (ps_http_count(head, "sec-websocket-version") != 1
        || !ps_http_name_is(ps_http_find(head, "sec-websocket-version"), "13")) {
        return 426;
    }
    return 101;
}

static void write_base64(char *out, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i += 3) {
        size_t left = count - i;
        uint32_t triple = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0)
            | (left > 2 ? bytes[i + 2] : 0u);
        *out++ = base64_alphabet[triple >> 18];
        *out++ = base64_alphabet[triple >> 12 & 63];
        *out++ = left > 1 ? base64_alphabet[triple >> 6 & 63] : '=';
        *out++ = left > 2 ? base64_alphabet[triple & 63] : '=';
    }
}

void ps_ws_accept_key(char out[PS_WS_ACCEPT_BYTES], ps_bytes key) {
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 §1.3 */
    uint8_t text[KEY_BYTES + sizeof suffix - 1];
    uint8_t digest[20];
    assert(key.count == KEY_BYTES);
    memcpy(text, key.start, KEY_BYTES);
    memcpy(text + KEY_BYTES, suffix, sizeof suffix - 1);
    ps_sha1(digest, text, sizeof text);
    write_base64(out, digest, sizeof digest);
}
