#include "http.h"

#include <string.h>

#include "characters.h"

bool ps_http_name_is(ps_bytes text, const char *name) {
    for (size_t i = 0; i < text.count; i++) {
        if (name[i] == '\0' || ps_lower(text.start[i]) != (uint8_t)name[i]) {
            return false;
        }
    }
    return name[text.count] == '\0';
}

ps_bytes ps_http_find(const ps_http_head *head, const char *name) {
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (ps_http_name_is(head->fields[i].name, name)) {
            return head->fields[i].value;
        }
    }
    return (ps_bytes){NULL, 0};
}

ps_bytes ps_http_find_last(const ps_http_head *head, const char *name, uint32_t skipped) {
    for (uint32_t i = head->field_count; i > 0; i--) {
        if (ps_http_name_is(head->fields[i - 1].name, name) && skipped-- == 0) {
            return head->fields[i - 1].value;
        }
    }
    return (ps_bytes){NULL, 0};
}

uint32_t ps_http_count(const ps_http_head *head, const char *name) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < head->field_count; i++) {
        count += ps_http_name_is(head->fields[i].name, name);
    }
    return count;
}

static bool is_blank(uint8_t byte) {
    return byte == ' ' || byte == '\t';
}

/* The comma after the element that starts here, or the end; one in a quoted string is no end. */
static const uint8_t *element_end(const uint8_t *cursor, const uint8_t *end) {
    bool is_quoted = false;
    for (; cursor < end && (is_quoted || *cursor != ','); cursor++) {
        if (*cursor == '"') {
            is_quoted = !is_quoted;
        } else if (*cursor == '\\' && is_quoted && end - cursor > 1) {
            cursor++;
        }
    }
    return cursor;
}

bool ps_http_list_next(ps_bytes *rest, ps_bytes *element) {
    const uint8_t *cursor = rest->start;
    const uint8_t *end = rest->start + rest->count;
    while (cursor < end && (is_blank(*cursor) || *cursor == ',')) {
        cursor++;
    }
    const uint8_t *stop = element_end(cursor, end);
    *rest = (ps_bytes){stop, (size_t)(end - stop)};
    while (stop > cursor && is_blank(stop[-1])) {
        stop--;
    }
    *element = (ps_bytes){cursor, (size_t)(stop - cursor)};
    return element->count > 0;
}

bool ps_http_list_has(ps_bytes list, const char *token) {
    ps_bytes element;
    while (ps_http_list_next(&list, &element)) {
        if (ps_http_name_is(element, token)) {
            return true;
        }
    }
    return false;
}
