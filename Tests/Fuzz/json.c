/* One JSON text: the table of a taken text is sound, each value stands for itself, strings survive
 * being written again, and no prefix of an array or object is whole. */

#include "fuzz.h"

enum { CAPACITY = 512 };

static int parse(
    ps_json_result *result, ps_json_value *values, uint32_t capacity, const uint8_t *text,
    size_t count) {
    uint8_t *copy = exact_copy(text, count);
    int answer = ps_json_parse(result, values, capacity, copy, count);
    free(copy);
    return answer;
}

static void require_sound_string(const ps_json_value *value, const uint8_t *text) {
    uint8_t *plain = malloc(value->count + 1);
    uint8_t *written = malloc(6 * (size_t)value->count + 2);
    REQUIRE(plain != NULL && written != NULL);
    size_t plain_count = ps_json_unescape(plain, value, text);
    REQUIRE(plain_count <= value->count && is_utf8(plain, plain_count));
    REQUIRE(memchr(plain, '\0', plain_count) == NULL);
    REQUIRE(value->escaped || plain_count == value->count);
    REQUIRE(ps_json_string_is(value, text, (const char *)plain, plain_count));
    REQUIRE(!ps_json_string_is(value, text, (const char *)plain, plain_count + 1));

    size_t written_count = ps_json_write_string(written, plain, plain_count);
    ps_json_result result;
    ps_json_value again;
    REQUIRE(parse(&result, &again, 1, written, written_count) == PS_DONE);
    REQUIRE(ps_json_string_is(&again, written, (const char *)plain, plain_count));
    free(plain);
    free(written);
}

static bool have_same_name(
    const ps_json_value *one, const ps_json_value *other, const uint8_t *text) {
    uint8_t *plain = malloc(one->count + 1);
    REQUIRE(plain != NULL);
    size_t count = ps_json_unescape(plain, one, text);
    bool is_same = ps_json_string_is(other, text, (const char *)plain, count);
    free(plain);
    return is_same;
}

static void require_different_names(
    const ps_json_value *values, uint32_t object, const uint8_t *text) {
    uint32_t end = values[object].next;
    for (uint32_t one = object + 1; one < end; one = values[one + 1].next) {
        for (uint32_t other = values[one + 1].next; other < end; other = values[other + 1].next) {
            REQUIRE(!have_same_name(&values[one], &values[other], text));
        }
    }
}

static void require_sound_container(
    const ps_json_value *values, uint32_t index, const uint8_t *text) {
    bool is_object = values[index].kind == PS_JSON_OBJECT;
    uint32_t items = 0;
    uint32_t child = index + 1;
    for (; child < values[index].next; items++) {
        if (is_object) {
            REQUIRE(values[child].kind == PS_JSON_STRING && values[child].next == child + 1);
            child++;
        }
        child = values[child].next;
    }
    REQUIRE(child == values[index].next && items == values[index].item_count);
    if (is_object && items <= 64) {
        require_different_names(values, index, text);
    }
}

static void require_sound_number(const ps_json_value *value, const uint8_t *text) {
    char digits[32] = {0};
    int64_t integer = 0;
    int answer = ps_json_int64(&integer, value, text);
    REQUIRE(answer == 0 || answer == -1 || answer == -2);
    if (answer == 0) { /* and then it is written as it was */
        uint8_t written[20];
        REQUIRE(ps_json_write_int64(written, integer) == value->count);
        REQUIRE(memcmp(written, text + value->start, value->count) == 0);
    } else if (answer == -2) {
        REQUIRE(value->count >= 19);
    } else if (value->count < sizeof digits) {
        memcpy(digits, text + value->start, value->count);
        REQUIRE(strpbrk(digits, ".eE") != NULL || strcmp(digits, "-0") == 0);
    }
}

static void require_sound(const ps_json_value *values, uint32_t count, const uint8_t *text) {
    REQUIRE(count > 0 && values[0].next == count);
    for (uint32_t i = 0; i < count; i++) {
        switch (values[i].kind) {
        case PS_JSON_STRING:
            require_sound_string(&values[i], text);
            break;
        case PS_JSON_NUMBER:
            require_sound_number(&values[i], text);
            break;
        case PS_JSON_ARRAY:
        case PS_JSON_OBJECT:
            require_sound_container(values, i, text);
            break;
        default:
            REQUIRE(values[i].next == i + 1);
        }
        if (values[i].kind != PS_JSON_STRING && i < 8) { /* each value is a text of its own */
            static ps_json_value part[CAPACITY];
            ps_json_result result;
            int answer = parse(&result, part, CAPACITY, text + values[i].start, values[i].count);
            REQUIRE(answer == PS_DONE && result.value_count == values[i].next - i);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static ps_json_value values[CAPACITY], part[CAPACITY];
    uint8_t *text = exact_copy(bytes, count);
    ps_json_result result, other;
    int answer = ps_json_parse(&result, values, CAPACITY, text, count);
    REQUIRE(result.error_offset <= count && result.value_count <= CAPACITY);
    REQUIRE((answer == PS_MALFORMED) == (result.error != 0));
    if (answer == PS_DONE) {
        require_sound(values, result.value_count, text);
        bool is_container = values[0].kind >= PS_JSON_STRING;
        size_t end = values[0].start + values[0].count;
        size_t cut = digest(bytes, count) % end;
        if (is_container) {
            REQUIRE(parse(&other, part, CAPACITY, text, cut) == PS_PARTIAL);
        }
        REQUIRE(parse(&other, part, result.value_count, text, count) == PS_DONE);
        REQUIRE(parse(&other, part, result.value_count - 1, text, count) == PS_MALFORMED);
        REQUIRE(other.error == PS_JSON_TOO_MANY);
    } else if (answer == PS_MALFORMED) {
        /* What stands before the fault is a good beginning. */
        int before = parse(&other, part, CAPACITY, text, result.error_offset);
        REQUIRE(before != PS_MALFORMED || other.error == result.error);
    }
    free(text);
    return 0;
}
