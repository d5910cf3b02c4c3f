/* One pass and no recursion: the open containers are a short stack of indices, and the loop jumps
 * between what may come next. What a table entry of a container needs to know about its end is
 * filled in when it closes. */

#include "json.h"

#include <assert.h>
#include <string.h>

#include "characters.h"
#include "json_text.h"
#include "utf8.h"
#include "words.h"

/* What the parse carries along; `cursor` is the next byte to read. */
typedef struct reader {
    const uint8_t *text;
    const uint8_t *cursor;
    const uint8_t *end;
    ps_json_value *values;
    uint32_t value_count;
    uint32_t capacity;
    uint32_t depth;
    ps_json_error error;
    uint32_t open[PS_JSON_DEPTH_MAX]; /* indices of the containers under way */
} reader;

static int refuse(reader *in, ps_json_error error) {
    in->error = error;
    return PS_MALFORMED;
}

static void skip_space(reader *in) {
    while (in->cursor < in->end
           && (*in->cursor == ' ' || *in->cursor == '\n' || *in->cursor == '\r'
               || *in->cursor == '\t')) {
        in->cursor++;
    }
}

/* A new entry that begins at the cursor; NULL where the table is full. */
static ps_json_value *add_value(reader *in, ps_json_kind kind) {
    if (in->value_count == in->capacity) {
        refuse(in, PS_JSON_TOO_MANY);
        return NULL;
    }
    ps_json_value *value = &in->values[in->value_count++];
    *value = (ps_json_value){
        .start = (uint32_t)(in->cursor - in->text),
        .next = in->value_count,
        .kind = kind,
    };
    return value;
}

static void end_value(reader *in, ps_json_value *value) {
    value->count = (uint32_t)(in->cursor - in->text) - value->start;
}

/* --- Scalars (RFC 8259 §3, §6, §7) --- */

static int take_literal(reader *in, ps_json_kind kind, const char *word) {
    ps_json_value *value = add_value(in, kind);
    if (value == NULL) {
        return PS_MALFORMED;
    }
    for (; *word != '\0'; word++, in->cursor++) {
        if (in->cursor == in->end) {
            return PS_PARTIAL;
        }
        if (*in->cursor != (uint8_t)*word) {
            return refuse(in, PS_JSON_SYNTAX);
        }
    }
    end_value(in, value);
    return PS_DONE;
}

static int take_digits(reader *in) {
    const uint8_t *start = in->cursor;
    while (in->cursor < in->end && ps_character_is(*in->cursor, IS_DIGIT)) {
        in->cursor++;
    }
    if (in->cursor > start) {
        return PS_DONE;
    }
    return in->cursor == in->end ? PS_PARTIAL : refuse(in, PS_JSON_SYNTAX);
}

static bool take_if(reader *in, uint8_t byte) {
    bool found = in->cursor < in->end && *in->cursor == byte;
    in->cursor += found;
    return found;
}

static int take_number(reader *in) {
    ps_json_value *value = add_value(in, PS_JSON_NUMBER);
    if (value == NULL) {
        return PS_MALFORMED;
    }
    take_if(in, '-');
    if (take_if(in, '0')) {
        if (in->cursor < in->end && ps_character_is(*in->cursor, IS_DIGIT)) {
            return refuse(in, PS_JSON_SYNTAX);
        }
    } else {
        int answer = take_digits(in);
        if (answer != PS_DONE) {
            return answer;
        }
    }
    if (take_if(in, '.')) {
        int answer = take_digits(in);
        if (answer != PS_DONE) {
            return answer;
        }
    }
    if (take_if(in, 'e') || take_if(in, 'E')) {
        if (!take_if(in, '+')) {
            take_if(in, '-');
        }
        int answer = take_digits(in);
        if (answer != PS_DONE) {
            return answer;
        }
    }
    end_value(in, value);
    return PS_DONE;
}

/* Past what needs no look: no quote, backslash or control character, nothing beyond ASCII. */
static void skip_plain(reader *in) {
    while (in->end - in->cursor >= 8) {
        uint64_t word = ps_word_load(in->cursor);
        uint64_t stops = ps_word_below(word, ' ') | ps_word_equal(word, '"')
            | ps_word_equal(word, '\\') | (word & ps_word_repeat(0x80));
        if (stops != 0) {
            in->cursor += ps_word_first(stops);
            return;
        }
        in->cursor += 8;
    }
    while (in->cursor < in->end && *in->cursor >= ' ' && *in->cursor < 0x80 && *in->cursor != '"'
           && *in->cursor != '\\') {
        in->cursor++;
    }
}

static int take_unicode_escape(reader *in, unsigned *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++, in->cursor++) {
        if (in->cursor == in->end) {
            return PS_PARTIAL;
        }
        int digit = ps_hex_value(*in->cursor);
        if (digit < 0) {
            return refuse(in, PS_JSON_SYNTAX);
        }
        *unit = *unit << 4 | (unsigned)digit;
    }
    return PS_DONE;
}

/* The second half of a pair of surrogates, which must be there. */
static int take_low_surrogate(reader *in) {
    for (const char *expected = "\\u"; *expected != '\0'; expected++) {
        if (in->cursor == in->end) {
            return PS_PARTIAL;
        }
        if (!take_if(in, (uint8_t)*expected)) {
            return refuse(in, PS_JSON_BAD_TEXT);
        }
    }
    unsigned unit;
    int answer = take_unicode_escape(in, &unit);
    if (answer == PS_DONE && (unit < 0xdc00 || unit > 0xdfff)) {
        return refuse(in, PS_JSON_BAD_TEXT);
    }
    return answer;
}

static int take_escape(reader *in) {
    in->cursor++; /* the backslash */
    if (in->cursor == in->end) {
        return PS_PARTIAL;
    }
    if (!take_if(in, 'u')) {
        if (*in->cursor == '\0' || strchr("\"\\/bfnrt", *in->cursor) == NULL) {
            return refuse(in, PS_JSON_SYNTAX);
        }
        in->cursor++;
        return PS_DONE;
    }
    unsigned unit;
    int answer = take_unicode_escape(in, &unit);
    if (answer != PS_DONE) {
        return answer;
    }
    if (unit == 0 || (unit >= 0xdc00 && unit <= 0xdfff)) {
        return refuse(in, PS_JSON_BAD_TEXT);
    }
    return unit >= 0xd800 && unit <= 0xdbff ? take_low_surrogate(in) : PS_DONE;
}

static int take_beyond_ascii(reader *in) {
    ps_utf8 utf8 = {0};
    const uint8_t *start = in->cursor;
    while (in->cursor < in->end && *in->cursor >= 0x80) {
        in->cursor++;
    }
    if (!ps_utf8_feed(&utf8, start, (size_t)(in->cursor - start))) {
        return refuse(in, PS_JSON_BAD_TEXT);
    }
    if (ps_utf8_ends(&utf8)) {
        return PS_DONE;
    }
    return in->cursor == in->end ? PS_PARTIAL : refuse(in, PS_JSON_BAD_TEXT);
}

static int take_string(reader *in) {
    in->cursor++; /* the quote */
    ps_json_value *value = add_value(in, PS_JSON_STRING);
    if (value == NULL) {
        return PS_MALFORMED;
    }
    for (;;) {
        skip_plain(in);
        if (in->cursor == in->end) {
            return PS_PARTIAL;
        }
        int answer;
        switch (*in->cursor) {
        case '"':
            end_value(in, value);
            in->cursor++;
            return PS_DONE;
        case '\\':
            value->escaped = true;
            answer = take_escape(in);
            break;
        case 0x00 ... 0x1f:
            return refuse(in, PS_JSON_BAD_TEXT);
        default:
            answer = take_beyond_ascii(in);
            break;
        }
        if (answer != PS_DONE) {
            return answer;
        }
    }
}

/* --- Containers (RFC 8259 §4, §5) --- */

static int open_container(reader *in, ps_json_kind kind) {
    if (in->depth == PS_JSON_DEPTH_MAX) {
        return refuse(in, PS_JSON_TOO_DEEP);
    }
    if (add_value(in, kind) == NULL) {
        return PS_MALFORMED;
    }
    in->open[in->depth++] = in->value_count - 1;
    in->cursor++;
    return PS_DONE;
}

static int close_container(reader *in) {
    uint32_t index = in->open[in->depth - 1];
    ps_json_value *container = &in->values[index];
    if (*in->cursor != (container->kind == PS_JSON_ARRAY ? ']' : '}')) {
        return refuse(in, PS_JSON_SYNTAX);
    }
    if (container->kind == PS_JSON_OBJECT
        && ps_json_has_duplicate(in->values, index, in->text)) {
        return refuse(in, PS_JSON_DUPLICATE_MEMBER);
    }
    in->cursor++;
    in->depth--;
    container->next = in->value_count;
    end_value(in, container);
    return PS_DONE;
}

/* Any value at the cursor; a container only as far as its bracket. */
static int take_value(reader *in) {
    switch (*in->cursor) {
    case '{':
        return open_container(in, PS_JSON_OBJECT);
    case '[':
        return open_container(in, PS_JSON_ARRAY);
    case '"':
        return take_string(in);
    case 't':
        return take_literal(in, PS_JSON_TRUE, "true");
    case 'f':
        return take_literal(in, PS_JSON_FALSE, "false");
    case 'n':
        return take_literal(in, PS_JSON_NULL, "null");
    case '-':
    case '0' ... '9':
        return take_number(in);
    default:
        return refuse(in, PS_JSON_SYNTAX);
    }
}

static int count_item(reader *in) {
    if (in->depth > 0) {
        ps_json_value *container = &in->values[in->open[in->depth - 1]];
        if (container->item_count == UINT16_MAX) {
            return refuse(in, PS_JSON_TOO_MANY);
        }
        container->item_count++;
    }
    return PS_DONE;
}

/* What the text may go on with, white space aside. */
typedef enum place {
    AT_VALUE,
    AT_FIRST_ELEMENT, /* or `]` */
    AT_FIRST_NAME,    /* or `}` */
    AT_NAME,
    AT_COLON,
    AFTER_VALUE, /* `,` or the end of the container; at the top nothing */
} place;

/* Takes what is at the cursor and says in `*at` what may follow. */
static int step(reader *in, place *at) {
    int answer;
    switch (*at) {
    case AT_FIRST_NAME:
    case AT_FIRST_ELEMENT:
        if (*in->cursor == '}' || *in->cursor == ']') {
            *at = AFTER_VALUE;
            return close_container(in);
        }
        *at = *at == AT_FIRST_NAME ? AT_NAME : AT_VALUE;
        return PS_DONE;
    case AT_NAME:
        *at = AT_COLON;
        return *in->cursor == '"' ? take_string(in) : refuse(in, PS_JSON_SYNTAX);
    case AT_COLON:
        *at = AT_VALUE;
        return take_if(in, ':') ? PS_DONE : refuse(in, PS_JSON_SYNTAX);
    case AT_VALUE:
        *at = *in->cursor == '{' ? AT_FIRST_NAME
            : *in->cursor == '[' ? AT_FIRST_ELEMENT
                                 : AFTER_VALUE;
        answer = count_item(in);
        return answer == PS_DONE ? take_value(in) : answer;
    default: /* AFTER_VALUE */
        if (in->depth == 0) {
            return refuse(in, PS_JSON_SYNTAX);
        }
        if (!take_if(in, ',')) {
            return close_container(in);
        }
        *at = in->values[in->open[in->depth - 1]].kind == PS_JSON_OBJECT ? AT_NAME : AT_VALUE;
        return PS_DONE;
    }
}

int ps_json_parse(
    ps_json_result *result, ps_json_value *values, uint32_t capacity, const uint8_t *text,
    size_t count) {
    assert(count <= UINT32_MAX);
    reader in = {
        .text = text,
        .cursor = text,
        .end = text + count,
        .values = values,
        .capacity = capacity,
    };
    place at = AT_VALUE;
    int answer = PS_DONE;
    while (answer == PS_DONE) {
        skip_space(&in);
        if (in.cursor == in.end) {
            bool is_whole = at == AFTER_VALUE && in.depth == 0;
            answer = is_whole ? PS_DONE : PS_PARTIAL;
            break;
        }
        answer = step(&in, &at);
    }
    *result = (ps_json_result){
        .value_count = in.value_count,
        .error_offset = (uint32_t)(in.cursor - text),
        .error = in.error,
    };
    return answer;
}
