/* Our HTTP parser against llhttp in strict mode: whatever ours takes, llhttp must take too, with
 * the same method, target, number of fields, end of the head, framing and body. The other way
 * round ours may refuse more.
 *
 *   http_differential [requests] [seed]
 *
 * Deliberate exceptions, where ours takes what llhttp does not:
 *   - methods llhttp has not heard of: any token is a method (RFC 9110 §9.1);
 *   - HTTP/1.2 to 1.9, read as 1.1 (RFC 9110 §2.5);
 *   - chunk extensions with a quoted value (RFC 9112 §7.1.1), which llhttp 8 refuses;
 *   - trailers that look like framing: ours throws all trailers away, llhttp reads these.
 * And where both take it, yet mean something else:
 *   - `close` next to `keep-alive` on HTTP/1.0: close wins here;
 *   - a tab beside a Connection option, which to llhttp is a part of it;
 *   - after CONNECT and Upgrade llhttp stops at the end of the head; ours leaves that to the caller,
 *     so only the head is compared. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cwire.h"
#include "llhttp.h"
#include "requests.h"

/* What a parser made of a request. */
typedef struct reading {
    bool took_head;
    bool took_body;
    bool is_switch; /* CONNECT or Upgrade: the body is not HTTP's */
    char method[32];
    char target[256];
    size_t head_bytes;
    uint32_t field_count;
    bool chunked;
    uint64_t content_length;
    bool keep_alive;
    uint8_t body[REQUEST_BYTES_MAX];
    size_t body_bytes;
} reading;

/* --- Ours --- */

static bool is_exception(const ps_http_head *head) {
    const uint8_t *fields = head->target.start + head->target.count;
    size_t fields_bytes = head->head_bytes - (size_t)(fields - head->method_text.start);
    bool has_tab = ps_http_count(head, "connection") > 0 && memchr(fields, '\t', fields_bytes);
    const uint8_t *minor = head->target.start + head->target.count + strlen(" HTTP/1.");
    return head->method == PS_HTTP_OTHER || *minor > '1' || has_tab;
}

static bool body_is_exception(const uint8_t *body, size_t count) {
    char text[REQUEST_BYTES_MAX + 1] = {0};
    memcpy(text, body, count);
    return strchr(text, '"') != NULL || strcasestr(text, "content-length") != NULL
        || strcasestr(text, "transfer-encoding") != NULL;
}

/* Returns whether the request is one of the exceptions. */
static bool read_ours(reading *ours, const uint8_t *bytes, size_t count) {
    static const ps_http_limits limits = {8192, 16384, PS_HTTP_FIELDS_MAX};
    static ps_http_head head;
    if (ps_http_parse_head(&head, bytes, count, 0, &limits) != PS_DONE) {
        return false;
    }
    ours->took_head = true;
    ours->is_switch = head.method == PS_HTTP_CONNECT || head.upgrade;
    snprintf(ours->method, sizeof ours->method, "%.*s", (int)head.method_text.count,
             head.method_text.start);
    snprintf(ours->target, sizeof ours->target, "%.*s", (int)head.target.count, head.target.start);
    ours->head_bytes = head.head_bytes;
    ours->field_count = head.field_count;
    ours->chunked = head.chunked;
    ours->content_length = head.content_length;
    ours->keep_alive = head.keep_alive;
    size_t rest = count - head.head_bytes;
    memcpy(ours->body, bytes + head.head_bytes, rest);
    bool is_excepted = is_exception(&head);
    if (head.chunked) {
        ps_http_chunks chunks = {0};
        is_excepted |= body_is_exception(ours->body, rest);
        ours->took_body =
            ps_http_chunks_decode(&chunks, ours->body, &rest, &ours->body_bytes) == PS_DONE;
    } else {
        ours->took_body = head.content_length <= rest;
        ours->body_bytes = ours->took_body ? head.content_length : 0;
    }
    return is_excepted;
}

/* --- llhttp's --- */

static int on_url(llhttp_t *parser, const char *at, size_t length) {
    reading *theirs = parser->data;
    strncat(theirs->target, at, length);
    return 0;
}

static int on_field(llhttp_t *parser) {
    reading *theirs = parser->data;
    theirs->field_count += !theirs->took_head; /* trailers come later */
    return 0;
}

static int on_headers_complete(llhttp_t *parser) {
    reading *theirs = parser->data;
    theirs->took_head = true;
    theirs->chunked = (parser->flags & F_CHUNKED) != 0;
    theirs->content_length = parser->content_length;
    theirs->keep_alive = llhttp_should_keep_alive(parser);
    snprintf(theirs->method, sizeof theirs->method, "%s", llhttp_method_name(parser->method));
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length) {
    reading *theirs = parser->data;
    memcpy(theirs->body + theirs->body_bytes, at, length);
    theirs->body_bytes += length;
    return 0;
}

static int on_message_complete(llhttp_t *parser) {
    reading *theirs = parser->data;
    theirs->took_body = true;
    return HPE_PAUSED; /* what follows is another request */
}

/* llhttp has no word for the end of the head: it is where it is taken without one byte more. */
static bool takes_head_in(const llhttp_settings_t *settings, const uint8_t *bytes, size_t count) {
    llhttp_t parser;
    static reading scratch;
    memset(&scratch, 0, sizeof scratch);
    llhttp_init(&parser, HTTP_REQUEST, settings);
    parser.data = &scratch;
    llhttp_execute(&parser, (const char *)bytes, count);
    return scratch.took_head;
}

static void read_theirs(reading *theirs, const uint8_t *bytes, size_t count, size_t head_bytes) {
    llhttp_settings_t settings;
    llhttp_t parser;
    llhttp_settings_init(&settings);
    settings.on_url = on_url;
    settings.on_header_value_complete = on_field;
    settings.on_headers_complete = on_headers_complete;
    settings.on_body = on_body;
    settings.on_message_complete = on_message_complete;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = theirs;
    llhttp_execute(&parser, (const char *)bytes, count);
    if (takes_head_in(&settings, bytes, head_bytes)
        && !takes_head_in(&settings, bytes, head_bytes - 1)) {
        theirs->head_bytes = head_bytes;
    }
}

/* --- Compared --- */

static const char *difference(const reading *ours, const reading *theirs) {
    if (!theirs->took_head) {
        return "only ours takes the head";
    }
    if (strcmp(ours->method, theirs->method) != 0 || strcmp(ours->target, theirs->target) != 0) {
        return "method or target";
    }
    if (ours->head_bytes != theirs->head_bytes || ours->field_count != theirs->field_count) {
        return "end of the head or number of fields";
    }
    if (ours->chunked != theirs->chunked || ours->content_length != theirs->content_length) {
        return "framing";
    }
    if (ours->is_switch) {
        return NULL;
    }
    if (ours->keep_alive && !theirs->keep_alive) {
        return "keep-alive";
    }
    if (ours->took_body
        && (!theirs->took_body || ours->body_bytes != theirs->body_bytes
            || memcmp(ours->body, theirs->body, ours->body_bytes) != 0)) {
        return "body";
    }
    return NULL;
}

static void report(const char *what, uint64_t number, const uint8_t *bytes, size_t count) {
    fprintf(stderr, "request %" PRIu64 ": %s: ", number, what);
    for (size_t i = 0; i < count; i++) {
        bool is_plain = bytes[i] >= ' ' && bytes[i] < 0x7f && bytes[i] != '\\';
        fprintf(stderr, is_plain ? "%c" : "\\x%02x", bytes[i]);
    }
    fputc('\n', stderr);
}

int main(int argument_count, char **arguments) {
    uint64_t requests = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : 300000;
    uint64_t seed = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    uint64_t random = seed;
    uint64_t heads = 0, bodies = 0, exceptions = 0, stricter = 0, differences = 0;
    for (uint64_t number = 0; number < requests; number++) {
        static reading ours, theirs;
        uint8_t bytes[REQUEST_BYTES_MAX];
        size_t count = next_request(&random, bytes);
        memset(&ours, 0, sizeof ours);
        memset(&theirs, 0, sizeof theirs);
        bool is_excepted = read_ours(&ours, bytes, count);
        read_theirs(&theirs, bytes, count, ours.took_head ? ours.head_bytes : count);
        stricter += !ours.took_head && theirs.took_head;
        if (!ours.took_head) {
            continue;
        }
        const char *found = difference(&ours, &theirs);
        if (found == NULL) {
            heads++;
            bodies += ours.took_body && ours.body_bytes > 0;
        } else if (is_excepted) {
            exceptions++;
        } else if (differences++ < 10) {
            report(found, number, bytes, count);
        }
    }
    printf("http: %" PRIu64 " requests, seed %" PRIu64 ": %" PRIu64 " heads and %" PRIu64
           " bodies read alike, %" PRIu64 " exceptions, ours stricter on %" PRIu64
           ", %" PRIu64 " differences\n",
           requests, seed, heads, bodies, exceptions, stricter, differences);
    bool compared_enough = heads * 20 > requests && bodies * 200 > requests;
    return differences > 0 || !compared_enough;
}
