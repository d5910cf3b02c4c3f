/* Finding the few fields a load generator needs, without a JSON or HTTP library in the hot loop.
 * The first member of a name is found wherever it is nested; not a validator. */
#ifndef LD_SCAN_H
#define LD_SCAN_H

#include "frame.h"

/* Finds the first `"key":` followed by a digit. Returns whether there is one. */
bool ld_scan_number(const uint8_t *json, size_t count, const char *key, uint64_t *out);

/* Whether the first `"key":` is followed by `true`. */
bool ld_scan_true(const uint8_t *json, size_t count, const char *key);

/* Finds the first `"key":"text"`; escapes inside the text are left as they are.
 * Returns whether there is one; `*text` points into `json`. */
bool ld_scan_text(
    const uint8_t *json, size_t count, const char *key, const uint8_t **text, size_t *text_bytes);

typedef struct ld_response {
    const uint8_t *body; /* inside the parsed bytes */
    size_t body_bytes;
    size_t head_bytes; /* through the blank line */
    int status;
} ld_response;

/* Parses one whole HTTP/1.1 response: status, Content-Length, body.
 *
 * Malformed: no status line, a Transfer-Encoding (the gateway's small answers have none), no
 * Content-Length where a body is due, a head above 16 KiB, a body above 128 KiB.
 * Returns: bytes used, LD_PARTIAL or LD_MALFORMED. */
int ld_response_parse(ld_response *out, const uint8_t *bytes, size_t count);

#endif
