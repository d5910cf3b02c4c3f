/* JSON (RFC 8259), strictly: a whole text is validated in one pass into a table of values.
 *
 * Refused: anything RFC 8259 does not allow, a BOM, invalid UTF-8, U+0000 and lone surrogates in
 * strings, a member name twice in one object (compared after unescaping), depth past 32. */
#ifndef PS_JSON_H
#define PS_JSON_H

#include "answer.h"

enum { PS_JSON_DEPTH_MAX = 32 };

typedef enum ps_json_kind {
    PS_JSON_NULL,
    PS_JSON_FALSE,
    PS_JSON_TRUE,
    PS_JSON_NUMBER,
    PS_JSON_STRING,
    PS_JSON_ARRAY,
    PS_JSON_OBJECT,
} ps_json_kind;

/* One value, in the order of the text. The members of an object are pairs: a string value for the
 * name, then the member's value. */
typedef struct ps_json_value {
    uint32_t start;  /* offset of its text; of a string, after the quote */
    uint32_t count;  /* bytes of its text; of a string, without the quotes, still escaped */
    uint32_t next;   /* index of the value after it and all it contains */
    uint8_t kind;    /* ps_json_kind */
    bool escaped;    /* a string with at least one backslash */
    uint16_t item_count; /* elements of an array, members of an object */
} ps_json_value;

typedef enum ps_json_error {
    PS_JSON_SYNTAX = 1,
    PS_JSON_TOO_DEEP,
    PS_JSON_DUPLICATE_MEMBER,
    PS_JSON_BAD_TEXT,   /* not UTF-8, a control character, a lone surrogate, U+0000 */
    PS_JSON_TOO_MANY,   /* more values than `capacity` */
} ps_json_error;

typedef struct ps_json_result {
    uint32_t value_count;
    uint32_t error_offset;
    ps_json_error error;
} ps_json_result;

/* Reads one text of at most 2^32 - 1 bytes into `values`. Time grows with the bytes, whatever they
 * are; n members of one object are told apart in n log n comparisons. More than 65,535 items in
 * one container are too many.
 * Returns: PS_DONE (values[0] is the top), PS_PARTIAL where the text ends too early (an error for
 * whoever has it whole), PS_MALFORMED with error and offset. */
int ps_json_parse(
    ps_json_result *result, ps_json_value *values, uint32_t capacity, const uint8_t *text,
    size_t count);

/* The number as an integer: 0, or -1 where it is not written as one (`1.0`, `1e0`, `-0`), -2 where
 * it does not fit. */
int ps_json_int64(int64_t *out, const ps_json_value *value, const uint8_t *text);

/* Unescapes a string into `out` of at least value->count bytes. Returns the length. */
size_t ps_json_unescape(uint8_t *out, const ps_json_value *value, const uint8_t *text);

/* Whether a string, unescaped, equals `name`. */
bool ps_json_string_is(
    const ps_json_value *value, const uint8_t *text, const char *name, size_t name_count);

/* Writes `text`, valid UTF-8, as a quoted string; escapes the quote, the backslash, what lies below
 * U+0020, and U+2028, U+2029 and `</` as scripts need it. `out` has room for 6 * count + 2 bytes.
 * Returns the length. */
size_t ps_json_write_string(uint8_t *out, const uint8_t *text, size_t count);

/* Writes the digits of `value`; `out` has room for 20 bytes. Returns the length. */
size_t ps_json_write_int64(uint8_t *out, int64_t value);

#endif
