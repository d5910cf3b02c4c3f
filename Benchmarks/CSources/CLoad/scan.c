#include "scan.h"

#include <string.h>
#include <strings.h>

enum { HEAD_BYTES_MAX = 16 * 1024, BODY_BYTES_MAX = 128 * 1024, KEY_BYTES_MAX = 60 };

/* Where the value of `key` begins, which may be `json + count`; NULL without the key. */
static const uint8_t *find_value(const uint8_t *json, size_t count, const char *key)
{
    char quoted[KEY_BYTES_MAX + 4];
    size_t key_bytes = strlen(key);
    if (key_bytes > KEY_BYTES_MAX)
        return NULL;
    quoted[0] = '"';
    memcpy(quoted + 1, key, key_bytes);
    memcpy(quoted + 1 + key_bytes, "\":", 2);
    const uint8_t *found = memmem(json, count, quoted, key_bytes + 3);
    if (!found)
        return NULL;
    found += key_bytes + 3;
    while (found < json + count && *found == ' ')
        found++;
    return found;
}

bool ld_scan_number(const uint8_t *json, size_t count, const char *key, uint64_t *out)
{
    const uint8_t *end = json + count;
    const uint8_t *at = find_value(json, count, key);
    if (!at || at == end || *at < '0' || *at > '9')
        return false;
    uint64_t value = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    *out = value;
    return true;
}

bool ld_scan_true(const uint8_t *json, size_t count, const char *key)
{
    const uint8_t *at = find_value(json, count, key);
    return at && json + count - at >= 4 && memcmp(at, "true", 4) == 0;
}

bool ld_scan_text(
    const uint8_t *json, size_t count, const char *key, const uint8_t **text, size_t *text_bytes)
{
    const uint8_t *end = json + count;
    const uint8_t *at = find_value(json, count, key);
    if (!at || at == end || *at != '"')
        return false;
    const uint8_t *begin = ++at;
    while (at < end && *at != '"')
        at += *at == '\\' ? 2 : 1;
    if (at >= end)
        return false;
    *text = begin;
    *text_bytes = (size_t)(at - begin);
    return true;
}

/* The value of the header line `name` inside the head, or NULL. `name` ends with its colon. */
static const char *find_header(const char *head, size_t head_bytes, const char *name)
{
    size_t name_bytes = strlen(name);
    const char *end = head + head_bytes;
    for (const char *line = head; line;) {
        line = memmem(line, (size_t)(end - line), "\r\n", 2);
        if (!line)
            return NULL;
        line += 2;
        if ((size_t)(end - line) > name_bytes && strncasecmp(line, name, name_bytes) == 0)
            return line + name_bytes;
    }
    return NULL;
}

/* Reads the digits after optional spaces. Returns the length, or -1. */
static long read_length(const char *at, const char *end)
{
    while (at < end && *at == ' ')
        at++;
    if (at == end || *at < '0' || *at > '9')
        return -1;
    long value = 0;
    for (; at < end && *at >= '0' && *at <= '9' && value <= BODY_BYTES_MAX; at++)
        value = value * 10 + (*at - '0');
    return value <= BODY_BYTES_MAX ? value : -1;
}

int ld_response_parse(ld_response *out, const uint8_t *bytes, size_t count)
{
    static const char version[] = "HTTP/1.1 ";
    enum { VERSION_BYTES = sizeof version - 1 };
    size_t given = count < VERSION_BYTES ? count : VERSION_BYTES;
    if (memcmp(bytes, version, given) != 0)
        return LD_MALFORMED;
    const uint8_t *blank = memmem(bytes, count, "\r\n\r\n", 4);
    if (!blank)
        return count > HEAD_BYTES_MAX ? LD_MALFORMED : LD_PARTIAL;

    const char *head = (const char *)bytes;
    size_t head_bytes = (size_t)(blank - bytes) + 4;
    if (head_bytes < VERSION_BYTES + 3)
        return LD_MALFORMED;
    int status = 0;
    for (const char *digit = head + VERSION_BYTES; digit < head + VERSION_BYTES + 3; digit++) {
        if (*digit < '0' || *digit > '9')
            return LD_MALFORMED;
        status = status * 10 + (*digit - '0');
    }

    long body_bytes = 0;
    if (status >= 200 && status != 204 && status != 304) {
        if (find_header(head, head_bytes, "transfer-encoding:"))
            return LD_MALFORMED;
        const char *length = find_header(head, head_bytes, "content-length:");
        body_bytes = length ? read_length(length, head + head_bytes) : -1;
        if (body_bytes < 0)
            return LD_MALFORMED;
    }
    if (count - head_bytes < (size_t)body_bytes)
        return LD_PARTIAL;
    *out = (ld_response){
        .body = bytes + head_bytes,
        .body_bytes = (size_t)body_bytes,
        .head_bytes = head_bytes,
        .status = status,
    };
    return (int)(head_bytes + (size_t)body_bytes);
}
