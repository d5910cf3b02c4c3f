#include "ballot.h"

#include "scan.h"

#include <stdio.h>
#include <string.h>

typedef unsigned long long number;

size_t ld_ballot_write_websocket(
    uint8_t out[LD_BALLOT_BYTES_MAX], const ld_ballot *ballot, int place, uint32_t mask)
{
    char json[LD_BALLOT_BYTES_MAX - LD_FRAME_HEADER_BYTES_MAX];
    int length = snprintf(
        json, sizeof json,
        "{\"type\":\"vote\",\"ref\":\"%d\",\"poll_id\":%llu,\"option_ids\":[%llu],"
        "\"voter\":\"v%llu\"}",
        place, (number)ballot->poll_id, (number)ballot->option_id, (number)ballot->voter);
    return ld_frame_write(out, LD_TEXT, (const uint8_t *)json, (size_t)length, mask);
}

size_t ld_ballot_write_http(
    uint8_t out[LD_BALLOT_BYTES_MAX], const ld_ballot *ballot, const char *host)
{
    char json[160];
    int length = snprintf(
        json, sizeof json, "{\"poll_id\":%llu,\"option_id\":%llu,\"voter\":\"v%llu\"}",
        (number)ballot->poll_id, (number)ballot->option_id, (number)ballot->voter);
    return (size_t)snprintf(
        (char *)out, LD_BALLOT_BYTES_MAX,
        "POST /votes/ HTTP/1.1\r\nHost: %.24s\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\n\r\n%s",
        host, length, json);
}

static void add(ld_outcomes *outcomes, const char *name, size_t name_bytes)
{
    if (name_bytes >= LD_OUTCOME_BYTES_MAX)
        name_bytes = LD_OUTCOME_BYTES_MAX - 1;
    for (int i = 0; i < outcomes->count; i++) {
        ld_outcome *one = &outcomes->all[i];
        if (strncmp(one->name, name, name_bytes) == 0 && one->name[name_bytes] == 0) {
            one->count++;
            return;
        }
    }
    if (outcomes->count == LD_OUTCOMES_MAX) {
        outcomes->all[LD_OUTCOMES_MAX - 1].count++;
        return;
    }
    ld_outcome *one = &outcomes->all[outcomes->count++];
    memset(one, 0, sizeof *one);
    if (outcomes->count == LD_OUTCOMES_MAX)
        memcpy(one->name, "others", 6);
    else
        memcpy(one->name, name, name_bytes);
    one->count = 1;
}

void ld_outcomes_add(
    ld_outcomes *outcomes, const uint8_t *json, size_t count, const char *otherwise)
{
    const uint8_t *text;
    size_t text_bytes;
    if (ld_scan_true(json, count, "repeated"))
        add(outcomes, "repeated", 8);
    else if (
        ld_scan_text(json, count, "status", &text, &text_bytes) ||
        ld_scan_text(json, count, "code", &text, &text_bytes))
        add(outcomes, (const char *)text, text_bytes);
    else
        add(outcomes, otherwise, strlen(otherwise));
}
