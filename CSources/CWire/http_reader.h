/* What the parts of the head's parser share. */
#ifndef PS_HTTP_READER_H
#define PS_HTTP_READER_H

#include "characters.h"
#include "http.h"

/* What the parse carries along; `cursor` is the next byte to read. */
typedef struct ps_http_reader {
    const uint8_t *cursor;
    const uint8_t *end;
    ps_http_head *head;
    bool has_host;
    bool has_upgrade;
    bool closes;
    bool keeps_alive;
    bool upgrades;
} ps_http_reader;

static inline int refuse(ps_http_reader *in, uint16_t status) {
    in->head->status = status;
    return PS_MALFORMED;
}

static inline ps_bytes between(const uint8_t *start, const uint8_t *end) {
    return (ps_bytes){start, (size_t)(end - start)};
}

static inline ps_bytes trimmed(const uint8_t *start, const uint8_t *end) {
    while (start < end && (*start == ' ' || *start == '\t')) {
        start++;
    }
    while (start < end && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    return between(start, end);
}

static inline const uint8_t *skip_class(const uint8_t *cursor, const uint8_t *end, unsigned class) {
    while (cursor < end && ps_character_is(*cursor, class)) {
        cursor++;
    }
    return cursor;
}

/* Draws the conclusions of one field, once its line is whole: framing, host, connection, Expect.
 * Returns: PS_DONE, or PS_MALFORMED with the head's status set. */
int ps_http_note_field(ps_http_reader *in, ps_http_field field);

#endif
