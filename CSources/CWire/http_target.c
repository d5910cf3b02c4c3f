#include "http_target.h"

#include <arpa/inet.h>
#include <string.h>

#include "characters.h"
#include "http_reader.h"

/* Past all characters of the class and whole escapes; at the first byte that is neither. */
static const uint8_t *skip_escaped(const uint8_t *cursor, const uint8_t *end, unsigned class) {
    for (;;) {
        while (cursor < end && ps_character_is(*cursor, class)) {
            cursor++;
        }
        bool is_escape = end - cursor >= 3 && *cursor == '%' && ps_character_is(cursor[1], IS_HEX)
            && ps_character_is(cursor[2], IS_HEX);
        if (!is_escape) {
            return cursor;
        }
        cursor += 3;
    }
}

static bool split_path(ps_http_head *head, const uint8_t *start, const uint8_t *end) {
    const uint8_t *path_end = skip_escaped(start, end, IS_PATH);
    head->path = between(start, path_end);
    if (path_end == end) {
        head->query = between(end, end);
        return true;
    }
    if (*path_end != '?') {
        return false;
    }
    head->query = between(path_end + 1, end);
    return skip_escaped(path_end + 1, end, IS_QUERY) == end;
}

static size_t scheme_bytes(ps_bytes target) {
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t count = strlen(schemes[i]);
        if (target.count >= count && ps_http_name_is((ps_bytes){target.start, count}, schemes[i])) {
            return count;
        }
    }
    return 0;
}

static bool split_absolute(ps_http_head *head) {
    const uint8_t *end = head->target.start + head->target.count;
    size_t scheme = scheme_bytes(head->target);
    if (scheme == 0) {
        return false;
    }
    const uint8_t *host = head->target.start + scheme;
    const uint8_t *host_end = host;
    while (host_end < end && *host_end != '/' && *host_end != '?') {
        host_end++;
    }
    head->host = between(host, host_end);
    if (!ps_http_authority_is_valid(head->host, false) || !split_path(head, host_end, end)) {
        return false;
    }
    if (head->path.count == 0) { /* RFC 9110 §4.2.3: the same as "/" */
        head->path = (ps_bytes){(const uint8_t *)"/", 1};
    }
    return true;
}

bool ps_http_split_target(ps_http_head *head) {
    ps_bytes target = head->target;
    const uint8_t *end = target.start + target.count;
    if (target.count == 0) {
        return false;
    }
    head->query = between(end, end);
    if (head->method == PS_HTTP_CONNECT) {
        head->host = target;
        head->path = target;
        return ps_http_authority_is_valid(target, true);
    }
    if (*target.start == '/') {
        return split_path(head, target.start, end);
    }
    if (target.count == 1 && *target.start == '*') {
        head->path = target;
        return head->method == PS_HTTP_OPTIONS;
    }
    return split_absolute(head);
}

/* `[`, an IPv6 address without a zone, `]`: past it, or NULL. */
static const uint8_t *skip_ipv6(const uint8_t *start, const uint8_t *end) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const uint8_t *close = memchr(start, ']', (size_t)(end - start));
    size_t count = close != NULL ? (size_t)(close - start) - 1 : 0;
    if (count == 0 || count >= sizeof text || memchr(start, '\0', count + 1) != NULL) {
        return NULL;
    }
    memcpy(text, start + 1, count);
    text[count] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1 ? close + 1 : NULL;
}

bool ps_http_authority_is_valid(ps_bytes text, bool requires_port) {
    const uint8_t *end = text.start + text.count;
    if (text.count == 0) {
        return false;
    }
    const uint8_t *cursor = *text.start == '[' ? skip_ipv6(text.start, end)
                                               : skip_escaped(text.start, end, IS_HOST);
    if (cursor == NULL || cursor == text.start) {
        return false;
    }
    if (cursor == end) {
        return !requires_port;
    }
    if (*cursor++ != ':') {
        return false;
    }
    unsigned port = 0;
    const uint8_t *digits = cursor;
    while (cursor < end && ps_character_is(*cursor, IS_DIGIT) && port <= 65535) {
        port = port * 10 + (*cursor++ - '0');
    }
    return cursor == end && port <= 65535 && (!requires_port || cursor > digits);
}
