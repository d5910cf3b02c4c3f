/* The fields that decide about the message itself: RFC 9110 §7.2 (Host), §7.6.1 (Connection),
 * §10.1.1 (Expect), RFC 9112 §6 (where the body ends). */

#include "http_reader.h"
#include "http_target.h"

/* A tab is white space like any other (RFC 9112 §5.1), but there are parsers that take it for a
 * part of the value, and then see another body. */
static bool has_tab_beside(ps_bytes value) {
    const uint8_t *before = value.start - 1;
    const uint8_t *after = value.start + value.count;
    while (*before == ' ') {
        before--;
    }
    while (*after == ' ') {
        after++;
    }
    return *before != ':' || *after != '\r';
}

static int note_content_length(ps_http_reader *in, ps_bytes value) {
    ps_http_head *head = in->head;
    if (head->has_content_length || head->chunked || value.count == 0 || has_tab_beside(value)) {
        return refuse(in, 400);
    }
    bool fits = true;
    uint64_t length = 0;
    for (size_t i = 0; i < value.count; i++) {
        if (!ps_character_is(value.start[i], IS_DIGIT)) {
            return refuse(in, 400);
        }
        unsigned digit = value.start[i] - '0';
        fits = fits && length <= ((uint64_t)INT64_MAX - digit) / 10;
        length = fits ? length * 10 + digit : 0;
    }
    if (!fits) {
        return refuse(in, 413);
    }
    head->has_content_length = true;
    head->content_length = length;
    return PS_DONE;
}

/* Whether the value lists codings by the grammar, `chunked` at most once and last, and one at least
 * that is another: right for somebody else. */
static bool lists_unknown_codings(ps_bytes value) {
    ps_bytes coding;
    bool has_unknown = false;
    bool has_chunked = false;
    while (ps_http_list_next(&value, &coding)) {
        const uint8_t *end = coding.start + coding.count;
        const uint8_t *name_end = skip_class(coding.start, end, IS_TOKEN);
        ps_bytes parameters = trimmed(name_end, end);
        if (has_chunked || name_end == coding.start
            || (parameters.count > 0 && *parameters.start != ';')) {
            return false;
        }
        has_chunked = ps_http_name_is(between(coding.start, name_end), "chunked");
        if (has_chunked && parameters.count > 0) {
            return false;
        }
        has_unknown |= !has_chunked;
    }
    return has_unknown;
}

static int note_transfer_encoding(ps_http_reader *in, ps_bytes value) {
    ps_http_head *head = in->head;
    if (head->chunked || head->has_content_length || head->minor_version_is_0
        || has_tab_beside(value)) {
        return refuse(in, 400);
    }
    if (!ps_http_name_is(value, "chunked")) {
        return refuse(in, lists_unknown_codings(value) ? 501 : 400);
    }
    head->chunked = true;
    return PS_DONE;
}

static int note_host(ps_http_reader *in, ps_bytes value) {
    if (in->has_host || !ps_http_authority_is_valid(value, false)) {
        return refuse(in, 400);
    }
    in->has_host = true;
    if (in->head->host.count == 0) { /* an absolute-form target goes before the field */
        in->head->host = value;
    }
    return PS_DONE;
}

static int note_connection(ps_http_reader *in, ps_bytes value) {
    ps_bytes option;
    while (ps_http_list_next(&value, &option)) {
        const uint8_t *end = option.start + option.count;
        if (skip_class(option.start, end, IS_TOKEN) != end) {
            return refuse(in, 400); /* a quote might hide a `close` from one of two readers */
        }
        in->closes |= ps_http_name_is(option, "close");
        in->keeps_alive |= ps_http_name_is(option, "keep-alive");
        in->upgrades |= ps_http_name_is(option, "upgrade");
    }
    return PS_DONE;
}

static int note_expect(ps_http_reader *in, ps_bytes value) {
    if (!ps_http_name_is(value, "100-continue")) {
        return refuse(in, 417);
    }
    in->head->expects_continue = !in->head->minor_version_is_0; /* ignored on 1.0 */
    return PS_DONE;
}

int ps_http_note_field(ps_http_reader *in, ps_http_field field) {
    switch (field.name.count) {
    case 4:
        return ps_http_name_is(field.name, "host") ? note_host(in, field.value) : PS_DONE;
    case 6:
        return ps_http_name_is(field.name, "expect") ? note_expect(in, field.value) : PS_DONE;
    case 7:
        in->has_upgrade |= ps_http_name_is(field.name, "upgrade");
        return PS_DONE;
    case 10:
        return ps_http_name_is(field.name, "connection") ? note_connection(in, field.value)
                                                         : PS_DONE;
    case 14:
        return ps_http_name_is(field.name, "content-length")
            ? note_content_length(in, field.value)
            : PS_DONE;
    case 17:
        return ps_http_name_is(field.name, "transfer-encoding")
            ? note_transfer_encoding(in, field.value)
            : PS_DONE;
    default:
        return PS_DONE;
    }
}
