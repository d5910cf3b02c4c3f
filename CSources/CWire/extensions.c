#include "extensions.h"

#include <string.h>

enum { NO_SERVER_TAKEOVER = 1, NO_CLIENT_TAKEOVER = 2, SERVER_WINDOW = 4, CLIENT_WINDOW = 8 };

typedef struct {
    const uint8_t *at, *end;
} cursor;

static void skip_blanks(cursor *in) {
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t')) {
        in->at++;
    }
}

static bool take(cursor *in, uint8_t character) {
    skip_blanks(in);
    bool found = in->at < in->end && *in->at == character;
    in->at += found;
    return found;
}

static bool is_token(uint8_t c) {
    return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?={}", c) == NULL;
}

static ps_bytes take_token(cursor *in) {
    skip_blanks(in);
    ps_bytes token = {.start = in->at};
    while (in->at < in->end && is_token(*in->at)) {
        in->at++;
        token.count++;
    }
    return token;
}

/* A quoted value has to be a token once unquoted (RFC 6455 §9.1). */
static ps_bytes take_value(cursor *in) {
    if (!take(in, '"')) {
        return take_token(in);
    }
    ps_bytes value = {.start = in->at};
    while (in->at < in->end && is_token(*in->at)) {
        in->at++;
        value.count++;
    }
    bool is_closed = in->at < in->end && *in->at == '"';
    in->at += is_closed;
    return is_closed ? value : (ps_bytes){0};
}

/* 8 to 15 without a leading zero, else 0. */
static uint8_t window_bits(ps_bytes value) {
    if (value.count == 1) {
        uint8_t digit = value.start[0];
        return digit == '8' || digit == '9' ? (uint8_t)(digit - '0') : 0;
    }
    bool fits = value.count == 2 && value.start[0] == '1' && value.start[1] >= '0'
        && value.start[1] <= '5';
    return fits ? (uint8_t)(10 + value.start[1] - '0') : 0;
}

static unsigned parameter_named(ps_bytes name) {
    return ps_http_name_is(name, "server_no_context_takeover") ? NO_SERVER_TAKEOVER
        : ps_http_name_is(name, "client_no_context_takeover")  ? NO_CLIENT_TAKEOVER
        : ps_http_name_is(name, "server_max_window_bits")      ? SERVER_WINDOW
        : ps_http_name_is(name, "client_max_window_bits")      ? CLIENT_WINDOW
                                                               : 0;
}

/* Whether this value, NULL for none, is one that the parameter may have. */
static bool suits(unsigned parameter, const ps_bytes *value) {
    switch (parameter) {
    case SERVER_WINDOW: return value && window_bits(*value) >= 9;
    case CLIENT_WINDOW: return !value || window_bits(*value) != 0;
    default: return parameter != 0 && !value;
    }
}

/* Reads one offer. Returns false where the grammar is broken. */
static bool take_offer(cursor *in, bool *acceptable, bool *names_window) {
    ps_bytes extension = take_token(in);
    unsigned seen = 0;
    *acceptable = ps_http_name_is(extension, "permessage-deflate");
    while (take(in, ';')) {
        unsigned parameter = parameter_named(take_token(in));
        bool has_value = take(in, '=');
        ps_bytes value = has_value ? take_value(in) : (ps_bytes){0};
        if (has_value && value.count == 0) {
            return false;
        }
        *acceptable = *acceptable && (seen & parameter) == 0
            && suits(parameter, has_value ? &value : NULL);
        seen |= parameter;
    }
    *names_window = (seen & SERVER_WINDOW) != 0;
    skip_blanks(in);
    return extension.count > 0 && (in->at == in->end || *in->at == ',');
}

bool ps_ws_offers_deflate(const ps_http_head *head, bool *names_window) {
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (!ps_http_name_is(head->fields[i].name, "sec-websocket-extensions")) {
            continue;
        }
        ps_bytes value = head->fields[i].value;
        cursor in = {value.start, value.start + value.count};
        bool acceptable;
        do {
            if (!take_offer(&in, &acceptable, names_window)) {
                break;
            }
            if (acceptable) {
                return true;
            }
        } while (take(&in, ','));
    }
    return false;
}
