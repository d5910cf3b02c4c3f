/* HTTP/1.1 requests, strictly (RFC 9112): whatever two parsers might read differently is refused. */
#ifndef PS_HTTP_H
#define PS_HTTP_H

#include "answer.h"

#define PS_HTTP_FIELDS_MAX 100

typedef enum ps_http_method {
    PS_HTTP_GET,
    PS_HTTP_HEAD,
    PS_HTTP_POST,
    PS_HTTP_PUT,
    PS_HTTP_PATCH,
    PS_HTTP_DELETE,
    PS_HTTP_OPTIONS,
    PS_HTTP_CONNECT,
    PS_HTTP_TRACE,
    PS_HTTP_OTHER, /* a valid token that is none of these */
} ps_http_method;

typedef struct ps_http_field {
    ps_bytes name;  /* as sent; compare with ps_http_name_is */
    ps_bytes value; /* without surrounding SP and HTAB */
} ps_http_field;

typedef struct ps_http_limits {
    uint32_t request_line_bytes; /* past it: 414 */
    uint32_t head_bytes;         /* request line and fields, all in all; past it: 431 */
    uint32_t field_count;        /* at most PS_HTTP_FIELDS_MAX; past it: 431 */
} ps_http_limits;

/* The head of one request. Everything points into the parsed bytes; PS_DONE alone fills all of it. */
typedef struct ps_http_head {
    ps_http_method method;
    ps_bytes method_text;
    ps_bytes target;      /* as sent */
    ps_bytes path;        /* origin form, "*" for OPTIONS *, the authority for CONNECT; still
                           * percent-encoded; never empty ("/" of our own for http://host) */
    ps_bytes query;       /* after '?', may be empty */
    ps_bytes host;        /* of an absolute-form target, else the Host field; empty on 1.0 without */
    bool minor_version_is_0; /* HTTP/1.0 (1.2 to 1.9 read as 1.1, RFC 9110 §2.5) */
    bool keep_alive;      /* by version and Connection; `close` wins */
    bool chunked;         /* Transfer-Encoding: chunked is the only coding understood */
    bool expects_continue;
    bool upgrade;         /* an Upgrade field and `upgrade` among the Connection options */
    uint64_t content_length; /* 0 without the field and with chunked */
    bool has_content_length;
    uint32_t field_count;
    uint32_t head_bytes;  /* PS_DONE: where the body begins */
    uint16_t status;      /* PS_MALFORMED: what to answer: 400, 413, 414, 417, 431, 501 or 505 */
    ps_http_field fields[PS_HTTP_FIELDS_MAX];
} ps_http_head;

/* Parses one request head from the first `count` of `bytes`.
 *
 * `scanned` is 0 at first; after PS_PARTIAL, the `count` of that call: what was seen before is not
 * searched again for the end of the head, so a head that comes byte by byte costs linear time.
 * Malformed input is reported as soon as it is certain; where pieces continue a head, a bare LF or
 * CR, a control character and a limit at once, a bad request line at its end, a bad field at the
 * end of the head. How the bytes were cut never changes the answer. One empty line before the
 * request is skipped.
 *
 * Refused with 400 among others: bare CR or LF, folded lines, space before the colon, a field
 * without a name, control characters, no or two Host on 1.1, a Host or target with characters
 * outside RFC 3986, Content-Length that is not pure digits or is repeated (also when equal),
 * Transfer-Encoding together with Content-Length, on 1.0, repeated, or other than `chunked` (501
 * for a well-formed unknown coding), a tab beside the value of either, a Connection option that is
 * no token. Content-Length past 2^63 - 1: 413.
 * `Expect` other than 100-continue: 417. HTTP/2 and later versions: 505.
 *
 * Returns: PS_DONE, PS_PARTIAL, or PS_MALFORMED with `status` set. */
int ps_http_parse_head(
    ps_http_head *head, const uint8_t *bytes, size_t count, size_t scanned,
    const ps_http_limits *limits);

/* The field's value; {NULL, 0} where it is missing. Of a repeated field: the first.
 * `name` is lower case, NUL-terminated. */
ps_bytes ps_http_find(const ps_http_head *head, const char *name);

/* The value of its last occurrence but `skipped`; {NULL, 0} where there are no more. */
ps_bytes ps_http_find_last(const ps_http_head *head, const char *name, uint32_t skipped);

/* How often the field occurs. */
uint32_t ps_http_count(const ps_http_head *head, const char *name);

/* Case-insensitive comparison with lower-case `name`. */
bool ps_http_name_is(ps_bytes text, const char *name);

/* Whether a comma-separated list (RFC 9110 §5.6.1) holds `token`, lower case, compared without
 * case. Empty elements are skipped. */
bool ps_http_list_has(ps_bytes list, const char *token);

/* The next element of a comma-separated list, trimmed; false at the end. `*rest` shrinks. */
bool ps_http_list_next(ps_bytes *rest, ps_bytes *element);

/* Chunked transfer coding (RFC 9112 §7.1): a body in any number of pieces. Zero-initialised. */
typedef struct ps_http_chunks {
    uint64_t remaining;      /* of the chunk under way */
    uint64_t data_bytes;     /* decoded so far, all in all */
    uint32_t line_bytes;     /* of the size, its extensions or the trailers under way */
    uint32_t overhead_bytes; /* everything that was not data, all in all */
    uint8_t state;
} ps_http_chunks;

/* Decodes in place: reads from `bytes[0..<*count]`, writes the data to the front of `bytes`.
 * On return `*decoded` is the number of data bytes at the front, `*count` the number of bytes
 * consumed (all of them unless PS_DONE). Trailers are validated and thrown away. A size line may
 * carry extensions up to 256 bytes; trailers up to 4 KiB in all; overhead beyond 64 KiB, or more
 * than 16 bytes of overhead per data byte once past 4 KiB, is malformed (a body of 60,000
 * one-byte chunks).
 *
 * Returns: PS_DONE after the last chunk and its trailers, PS_PARTIAL, PS_MALFORMED. */
int ps_http_chunks_decode(
    ps_http_chunks *chunks, uint8_t *bytes, size_t *count, size_t *decoded);

#endif
