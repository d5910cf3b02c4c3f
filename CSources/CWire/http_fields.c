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

ptrdiff_t ps_percent_decode(uint8_t *out, size_t capacity, ps_bytes text, bool plus_is_space) {
    const uint8_t *cursor = text.start;
    const uint8_t *end = text.start + text.count;
    size_t count = 0;
    while (cursor < end) {
        uint8_t byte = *cursor++;
        if (byte == '%') {
            int high = end - cursor >= 2 ? ps_hex_value(cursor[0]) : -1;
            int low = end - cursor >= 2 ? ps_hex_value(cursor[1]) : -1;
            if (high < 0 || low < 0) {
                return -1;
            }
            byte = (uint8_t)(high << 4 | low);
            cursor += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        if (count == capacity) {
            return -2;
        }
        out[count++] = byte;
    }
    return (ptrdiff_t)count;
}
