#include "answers.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { REVISION_DIGITS = 13, KEY_BYTES = 24 };

static const uint64_t FIRST_REVISION = 1000000000000; /* 13 digits, as milliseconds since 1970 */
static const char TALLY[] = "{\"type\":\"tally\",\"poll_id\":1,\"revision\":0000000000000,\"pad\":\"";
static const char SNAPSHOT[] =
    "{\"type\":\"snapshot\",\"poll\":{\"id\":1,\"revision\":0000000000000,\"pad\":\"";

/* Fills `frame_bytes` with a text frame whose payload is `begin`, padding and `end`.
 * Returns where its revision's digits are, or NULL where the size does not do. */
static char *build(uint8_t *frame, int frame_bytes, const char *begin, const char *end)
{
    int header_bytes = frame_bytes - 2 < 126 ? 2 : 4;
    int payload_bytes = frame_bytes - header_bytes;
    int begin_bytes = (int)strlen(begin), end_bytes = (int)strlen(end);
    /* 128 and 129 bytes cannot be: the header grows by two where the payload passes 125. */
    bool is_between = header_bytes == 4 && payload_bytes < 126;
    if (frame_bytes > FRAME_BYTES_MAX || is_between || payload_bytes < begin_bytes + end_bytes)
        return NULL;
    frame[0] = 0x81;
    if (header_bytes == 2) {
        frame[1] = (uint8_t)payload_bytes;
    } else {
        frame[1] = 126;
        frame[2] = (uint8_t)(payload_bytes >> 8);
        frame[3] = (uint8_t)payload_bytes;
    }
    char *payload = (char *)frame + header_bytes;
    memset(payload, '.', (size_t)payload_bytes);
    memcpy(payload, begin, (size_t)begin_bytes);
    memcpy(payload + payload_bytes - end_bytes, end, (size_t)end_bytes);
    return strstr(payload, "\"revision\":") + strlen("\"revision\":");
}

static void write_revision(answers *a)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%0*llu", REVISION_DIGITS, (unsigned long long)a->revision);
    memcpy(a->tally_digits, digits, REVISION_DIGITS);
    memcpy(a->snapshot_digits, digits, REVISION_DIGITS);
}

bool answers_prepare(answers *a, int tally_bytes, int snapshot_bytes)
{
    if (tally_bytes < TALLY_BYTES_MIN)
        return false;
    a->tally_digits = build(a->tally, tally_bytes, TALLY, "\"}");
    a->snapshot_digits = build(a->snapshot, snapshot_bytes, SNAPSHOT, "\"}}");
    if (!a->tally_digits || !a->snapshot_digits)
        return false;
    a->tally_bytes = (size_t)tally_bytes;
    a->snapshot_bytes = (size_t)snapshot_bytes;
    a->revision = FIRST_REVISION;
    write_revision(a);
    return true;
}

static size_t write_json(char *out, const char *status, const char *json)
{
    return (size_t)snprintf(
        out, ANSWER_BYTES_MAX,
        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
        strlen(json), json);
}

/* The handshake of RFC 6455 §4.2.2, with the snapshot right behind it: one send for both. */
static request upgrade(answers *a, const char *text, char *out, size_t *out_bytes)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const char *key = strstr(text, "Sec-WebSocket-Key: ");
    if (!key || strlen(key) < strlen("Sec-WebSocket-Key: ") + KEY_BYTES)
        return REQUEST_REFUSED;
    char joined[KEY_BYTES + sizeof magic];
    memcpy(joined, key + strlen("Sec-WebSocket-Key: "), KEY_BYTES);
    memcpy(joined + KEY_BYTES, magic, sizeof magic);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    if (!EVP_Digest(joined, strlen(joined), digest, &digest_bytes, EVP_sha1(), NULL))
        return REQUEST_REFUSED;
    char accept[32];
    EVP_EncodeBlock((uint8_t *)accept, digest, (int)digest_bytes);
    int head_bytes = snprintf(
        out, ANSWER_BYTES_MAX,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        accept);
    memcpy(out + head_bytes, a->snapshot, a->snapshot_bytes);
    *out_bytes = (size_t)head_bytes + a->snapshot_bytes;
    return REQUEST_SUBSCRIBES;
}

static request vote(answers *a, const char *text, char *out, size_t *out_bytes)
{
    char json[128];
    a->revision++;
    bool is_watched = strstr(text, "\"poll_id\":1,") != NULL;
    if (is_watched) {
        a->vote_count++;
        write_revision(a);
    }
    snprintf(
        json, sizeof json, "{\"status\":\"counted\",\"revision\":%llu}",
        (unsigned long long)a->revision);
    *out_bytes = write_json(out, "201 Created", json);
    return is_watched ? REQUEST_CHANGES : REQUEST_OTHER;
}

static request create_poll(answers *a, char *out, size_t *out_bytes)
{
    char json[128];
    a->poll_count++;
    snprintf(
        json, sizeof json, "{\"id\":%llu,\"options\":[{\"id\":1},{\"id\":2}],\"host_key\":\"psh_\"}",
        (unsigned long long)a->poll_count);
    *out_bytes = write_json(out, "201 Created", json);
    return REQUEST_OTHER;
}

static request results(const answers *a, char *out, size_t *out_bytes)
{
    char json[64];
    snprintf(json, sizeof json, "{\"total\":%llu}", (unsigned long long)a->vote_count);
    *out_bytes = write_json(out, "200 OK", json);
    return REQUEST_OTHER;
}

static bool begins_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

request answers_for(
    answers *a, const char *text, char out[ANSWER_BYTES_MAX], size_t *out_bytes)
{
    if (begins_with(text, "GET /ws/polls/1/ "))
        return upgrade(a, text, out, out_bytes);
    if (begins_with(text, "POST /votes/ "))
        return vote(a, text, out, out_bytes);
    if (begins_with(text, "POST /polls/ "))
        return create_poll(a, out, out_bytes);
    if (begins_with(text, "GET /polls/1/results/ "))
        return results(a, out, out_bytes);
    return REQUEST_REFUSED;
}
