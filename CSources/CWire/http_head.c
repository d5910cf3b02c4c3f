/* One pass over the head, in the order of the bytes: the answer for a prefix never depends on what
 * comes after it, so it does not matter how the bytes were cut. A call that continues a partial
 * head only looks for something that could change the answer (scan_news) and then parses the whole
 * head again: at most once each for its first bytes, its request line, its limits and its end. */

#include "http.h"

#include <assert.h>
#include <string.h>

#include "characters.h"
#include "http_reader.h"
#include "http_target.h"
#include "words.h"

/* CR LF, after text that must end here: PS_DONE past it. */
static int take_line_end(ps_http_reader *in) {
    if (in->cursor == in->end) {
        return PS_PARTIAL;
    }
    if (*in->cursor != '\r') {
        return refuse(in, 400);
    }
    if (in->end - in->cursor < 2) {
        return PS_PARTIAL;
    }
    if (in->cursor[1] != '\n') {
        return refuse(in, 400);
    }
    in->cursor += 2;
    return PS_DONE;
}

/* --- The request line (RFC 9112 §3) --- */

static ps_http_method method_named(ps_bytes text) {
    static const struct {
        const char *name;
        uint8_t count;
        uint8_t method;
    } methods[] = {
        {"GET", 3, PS_HTTP_GET},         {"POST", 4, PS_HTTP_POST},
        {"HEAD", 4, PS_HTTP_HEAD},       {"PUT", 3, PS_HTTP_PUT},
        {"PATCH", 5, PS_HTTP_PATCH},     {"DELETE", 6, PS_HTTP_DELETE},
        {"OPTIONS", 7, PS_HTTP_OPTIONS}, {"CONNECT", 7, PS_HTTP_CONNECT},
        {"TRACE", 5, PS_HTTP_TRACE},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (text.count == methods[i].count
            && memcmp(text.start, methods[i].name, text.count) == 0) {
            return methods[i].method;
        }
    }
    return PS_HTTP_OTHER;
}

/* `HTTP/` DIGIT `.` DIGIT. A prefix that fits is partial. */
static int take_version(ps_http_reader *in, uint8_t *major) {
    static const char pattern[] = "HTTP/d.d";
    for (size_t i = 0; i < sizeof pattern - 1; i++) {
        if (in->cursor + i == in->end) {
            return PS_PARTIAL;
        }
        uint8_t byte = in->cursor[i];
        bool fits = pattern[i] == 'd' ? ps_character_is(byte, IS_DIGIT) : byte == pattern[i];
        if (!fits) {
            return refuse(in, 400);
        }
    }
    *major = in->cursor[5] - '0';
    in->head->minor_version_is_0 = in->cursor[7] == '0';
    in->cursor += sizeof pattern - 1;
    return PS_DONE;
}

/* Everything up to the version, which ends within the limit or the line is too long. */
static int take_request_words(ps_http_reader *in, uint8_t *major) {
    ps_http_head *head = in->head;
    const uint8_t *start = in->cursor;
    in->cursor = skip_class(start, in->end, IS_TOKEN);
    if (in->cursor == in->end) {
        return PS_PARTIAL;
    }
    if (in->cursor == start || *in->cursor != ' ') {
        return refuse(in, 400);
    }
    head->method_text = between(start, in->cursor);
    head->method = method_named(head->method_text);

    start = ++in->cursor;
    while (in->cursor < in->end && *in->cursor > ' ' && *in->cursor < 0x7f) {
        in->cursor++;
    }
    if (in->cursor == in->end) {
        return PS_PARTIAL;
    }
    if (*in->cursor != ' ') {
        return refuse(in, 400);
    }
    head->target = between(start, in->cursor);
    in->cursor++;
    return take_version(in, major);
}

static int take_request_line(ps_http_reader *in, uint32_t limit_bytes) {
    /* RFC 9112 §2.2: one empty line before it is forgiven. */
    if (in->cursor < in->end && *in->cursor == '\r') {
        int answer = take_line_end(in);
        if (answer != PS_DONE) {
            return answer;
        }
    }
    const uint8_t *end = in->end;
    bool may_be_too_long = (size_t)(end - in->cursor) >= limit_bytes;
    if (may_be_too_long) {
        in->end = in->cursor + limit_bytes;
    }
    uint8_t major = 0;
    int answer = take_request_words(in, &major);
    in->end = end;
    if (answer == PS_PARTIAL && may_be_too_long) {
        return refuse(in, 414);
    }
    if (answer != PS_DONE) {
        return answer;
    }
    answer = take_line_end(in);
    if (answer == PS_DONE && major != 1) {
        return refuse(in, 505);
    }
    if (answer == PS_DONE && !ps_http_split_target(in->head)) {
        return refuse(in, 400);
    }
    return answer;
}

/* --- Field lines (RFC 9112 §5) --- */

static const uint8_t *skip_value(const uint8_t *cursor, const uint8_t *end) {
    for (;;) {
        while (end - cursor >= 8) {
            uint64_t word = ps_word_load(cursor);
            uint64_t suspects = ps_word_below(word, ' ') | ps_word_equal(word, 0x7f);
            if (suspects != 0) {
                cursor += ps_word_first(suspects);
                break;
            }
            cursor += 8;
        }
        const uint8_t *stopped = cursor;
        cursor = skip_class(cursor, end, IS_VALUE);
        if (cursor == stopped || end - cursor < 8) {
            return cursor;
        }
    }
}

static int take_field(ps_http_reader *in, ps_http_field *field) {
    const uint8_t *start = in->cursor;
    in->cursor = skip_class(start, in->end, IS_TOKEN);
    if (in->cursor == in->end) {
        return PS_PARTIAL;
    }
    if (in->cursor == start || *in->cursor != ':') {
        return refuse(in, 400);
    }
    field->name = between(start, in->cursor);

    start = ++in->cursor;
    in->cursor = skip_value(start, in->end);
    const uint8_t *value_end = in->cursor;
    int answer = take_line_end(in);
    if (answer == PS_DONE) {
        field->value = trimmed(start, value_end);
    }
    return answer;
}

static int take_fields(ps_http_reader *in, uint32_t limit_count) {
    ps_http_head *head = in->head;
    for (;;) {
        if (in->cursor < in->end && *in->cursor == '\r') {
            return take_line_end(in);
        }
        if (in->cursor < in->end && head->field_count == limit_count) {
            return refuse(in, 431);
        }
        ps_http_field *field = &head->fields[head->field_count];
        int answer = in->cursor == in->end ? PS_PARTIAL : take_field(in, field);
        if (answer == PS_DONE) {
            answer = ps_http_note_field(in, *field);
        }
        if (answer != PS_DONE) {
            return answer;
        }
        head->field_count++;
    }
}

/* --- The whole head --- */

static void clear(ps_http_head *head) {
    /* The fields are the bulk of it and are written before they are read. */
    memset(head, 0, offsetof(ps_http_head, fields));
}

static int parse(
    ps_http_head *head, const uint8_t *bytes, size_t count, const ps_http_limits *limits) {
    bool may_be_too_long = count >= limits->head_bytes;
    ps_http_reader in = {
        .cursor = bytes,
        .end = bytes + (may_be_too_long ? limits->head_bytes : count),
        .head = head,
    };
    uint32_t field_limit =
        limits->field_count < PS_HTTP_FIELDS_MAX ? limits->field_count : PS_HTTP_FIELDS_MAX;
    clear(head);
    int answer = take_request_line(&in, limits->request_line_bytes);
    if (answer == PS_DONE) {
        answer = take_fields(&in, field_limit);
    }
    if (answer == PS_PARTIAL && may_be_too_long) {
        return refuse(&in, 431);
    }
    if (answer != PS_DONE) {
        return answer;
    }
    if (!in.has_host && !head->minor_version_is_0) {
        return refuse(&in, 400);
    }
    head->keep_alive = !in.closes && (in.keeps_alive || !head->minor_version_is_0);
    head->upgrade = in.has_upgrade && in.upgrades;
    head->head_bytes = (uint32_t)(in.cursor - bytes);
    return PS_DONE;
}

/* Whether bytes[scanned..<count] may turn a partial head into an answer: a line end out of place,
 * a control character, the end of the request line or of the head, or a limit reached. */
static bool scan_news(
    const uint8_t *bytes, size_t count, size_t scanned, const ps_http_limits *limits) {
    size_t line_start = bytes[0] == '\r' ? 2 : 0;
    size_t line_limit = line_start + limits->request_line_bytes;
    if ((scanned < line_limit && line_limit <= count) || count >= limits->head_bytes) {
        return true;
    }
    if (bytes[scanned - 1] == '\r' && bytes[scanned] != '\n') {
        return true;
    }
    for (const uint8_t *cursor = bytes + scanned, *end = bytes + count;; cursor++) {
        cursor = skip_value(cursor, end);
        if (cursor == end) {
            return false;
        }
        size_t at = (size_t)(cursor - bytes);
        if (*cursor == '\r' && (at + 1 == count || bytes[at + 1] == '\n')) {
            continue;
        }
        if (*cursor != '\n' || at == 0 || bytes[at - 1] != '\r') {
            return true;
        }
        bool ends_head = at >= 3 && bytes[at - 2] == '\n';
        bool ends_request_line =
            at > line_start && memchr(bytes + line_start, '\n', at - line_start) == NULL;
        if (ends_head || ends_request_line) {
            return true;
        }
    }
}

int ps_http_parse_head(
    ps_http_head *head, const uint8_t *bytes, size_t count, size_t scanned,
    const ps_http_limits *limits) {
    assert(scanned <= count);
    if (count == scanned || (scanned > 0 && !scan_news(bytes, count, scanned, limits))) {
        return PS_PARTIAL;
    }
    return parse(head, bytes, count, limits);
}
