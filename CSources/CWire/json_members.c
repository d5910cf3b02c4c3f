/* Names that occur twice in one object. */

#include "json_text.h"

#include <string.h>

/* A string read byte by byte, unescaped. */
typedef struct spelled {
    const uint8_t *cursor;
    const uint8_t *end;
    uint8_t unit[4];
    size_t unit_count;
    size_t unit_position;
} spelled;

static int next_byte(spelled *string) {
    if (string->unit_position == string->unit_count) {
        if (string->cursor == string->end) {
            return -1;
        }
        string->unit_count = ps_json_take_unit(string->unit, &string->cursor);
        string->unit_position = 0;
    }
    return string->unit[string->unit_position++];
}

static int compare_escaped(
    const ps_json_value *one, const ps_json_value *other, const uint8_t *text) {
    spelled left = {.cursor = text + one->start, .end = text + one->start + one->count};
    spelled right = {.cursor = text + other->start, .end = text + other->start + other->count};
    for (;;) {
        int left_byte = next_byte(&left);
        int right_byte = next_byte(&right);
        if (left_byte != right_byte) {
            return left_byte - right_byte;
        }
        if (left_byte < 0) {
            return 0;
        }
    }
}

/* By bytes, a prefix first. */
static int compare(const ps_json_value *one, const ps_json_value *other, const uint8_t *text) {
    if (one->escaped || other->escaped) {
        return compare_escaped(one, other, text);
    }
    uint32_t shared = one->count < other->count ? one->count : other->count;
    int order = memcmp(text + one->start, text + other->start, shared);
    return order != 0 ? order : (one->count > other->count) - (one->count < other->count);
}

static bool is_same(const ps_json_value *one, const ps_json_value *other, const uint8_t *text) {
    bool may_be_same = one->count == other->count || one->escaped || other->escaped;
    return may_be_same && compare(one, other, text) == 0;
}

/* Names are a list through `next`, ended by 0, which is the top value and never a name. */
typedef struct name_sorter {
    ps_json_value *values;
    const uint8_t *text;
    bool has_duplicate;
} name_sorter;

static uint32_t merge(name_sorter *sorter, uint32_t one, uint32_t other) {
    uint32_t first = 0;
    uint32_t *link = &first;
    while (one != 0 && other != 0) {
        ps_json_value *values = sorter->values;
        int order = compare(&values[one], &values[other], sorter->text);
        sorter->has_duplicate |= order == 0;
        uint32_t *smaller = order <= 0 ? &one : &other;
        *link = *smaller;
        link = &values[*smaller].next;
        *smaller = *link;
    }
    *link = one != 0 ? one : other;
    return first;
}

/* Merge sort of a list: runs[i] is sorted and 2^i names long, or empty. */
static bool many_have_duplicate(ps_json_value *values, uint32_t object, const uint8_t *text) {
    name_sorter sorter = {values, text, false};
    uint32_t runs[16] = {0}; /* item_count has 16 bits */
    uint32_t name = object + 1;
    for (uint32_t i = 0; i < values[object].item_count; i++) {
        uint32_t next_name = values[name + 1].next;
        uint32_t run = name;
        values[name].next = 0;
        size_t length = 0;
        for (; runs[length] != 0; length++) {
            run = merge(&sorter, runs[length], run);
            runs[length] = 0;
        }
        runs[length] = run;
        name = next_name;
    }
    uint32_t all = 0;
    for (size_t length = 0; length < sizeof runs / sizeof *runs; length++) {
        all = merge(&sorter, runs[length], all);
    }
    name = object + 1;
    for (uint32_t i = 0; i < values[object].item_count; i++) {
        values[name].next = name + 1;
        name = values[name + 1].next;
    }
    return sorter.has_duplicate;
}

bool ps_json_has_duplicate(ps_json_value *values, uint32_t object, const uint8_t *text) {
    enum { FEW = 8 }; /* compared in pairs, mostly by their length */
    if (values[object].item_count > FEW) {
        return many_have_duplicate(values, object, text);
    }
    const ps_json_value *names[FEW];
    uint32_t name = object + 1;
    for (uint32_t i = 0; i < values[object].item_count; i++) {
        names[i] = &values[name];
        for (uint32_t j = 0; j < i; j++) {
            if (is_same(names[i], names[j], text)) {
                return true;
            }
        }
        name = values[name + 1].next;
    }
    return false;
}
