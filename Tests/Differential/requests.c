#include "requests.h"

#include <stdio.h>
#include <string.h>

/* Parts of a request. Most are right, so that most requests have one fault at most. */
typedef struct parts {
    const char *right[24]; /* ended by NULL */
    const char *wrong[48];
} parts;

static const parts methods = {
    {"GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "TRACE"},
    {"CONNECT", "get", "FOO", "PRI", "G(T", "", " GET"},
};

static const parts targets = {
    {"/", "/votes/", "/polls/7/?page=2&x=%20", "/a;b=c,d:@!$&'()*+-._~%7E", "/a//b/../c?x=/?",
     "http://h/", "http://h", "http://h?x", "HTTP://H:80/", "https://[::1]:80/a?b", "//a"},
    {"*", "a:443", "[::1]:443", "http://u@h/", "ftp://h/", "/\xc3\xa4", "/#a", "/%", "/%zz", "/<a>",
     "", "/a b", "?a", "/\\", "/a|b"},
};

static const parts versions = {
    {"HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"},
    {"HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.10", "HTTP/1.1 ", "HTTP/01.1", ""},
};

static const parts fields = {
    {"X: y", "X:", "X: \t a \t", "X: \x80\xff", "!#$%&'*+-.^_`|~09azAZ: y", "Content-Length: 5",
     "Content-Length: 0", "content-length:  5 ", "Content-Length: 05", "Transfer-Encoding: chunked",
     "transfer-encoding: CHUNKED", "Transfer-Encoding: chunked ", "Connection: close",
     "Connection: keep-alive", "Connection: a, Close", "Connection: upgrade", "Upgrade: websocket",
     "Expect: 100-continue"},
    {"Host:", "Host: h", "host:h:80", "Host: a b", "Host: u@h", "Host: \xc3\xa4",
     "Content-Length: 5\t", "Content-Length: 5, 5", "Content-Length: +5", "Content-Length: 5 5",
     "Content-Length:", "Content-Length: 18446744073709551616",
     "Content-Length: 9223372036854775807", "Transfer-Encoding: gzip, chunked",
     "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: xchunked", "Transfer-Encoding:",
     "Transfer-Encoding: chunked;a", "Transfer-Encoding : chunked", "Expect: foo", "X: a\r\n b",
     "X : a", ": a", " X: a", "X", "X: a\nY: b", "X: a\rb", "X: \x01", "X(: a"},
};

static const parts bodies = {
    {"hello", "hello and more", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n",
     "1;a=b\r\nx\r\n00\r\nA: b\r\n\r\n", "1;a\r\nx\r\n0\r\n\r\n",
     "A\r\n0123456789\r\n0;x\r\nY:\r\n\r\n", "1;a;b=c\r\nx\r\n0\r\nContent-Length: 5\r\n\r\n"},
    {"", "2;a=\"b\"\r\nxy\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
     "5\nhello\n0\n\n", "5\r\nhelloXX0\r\n\r\n", "10000000000000000\r\n", "0\r\nX : y\r\n\r\n",
     "-1\r\n", ";\r\n", "0\r\nX: a\r\n b\r\n\r\n", "1;a=\r\nx\r\n0\r\n\r\n", "5;a\nhello\r\n0\r\n\r\n"},
};

/* SplitMix64. */
static uint64_t next_random(uint64_t *state) {
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

static size_t below(uint64_t *random, size_t limit) {
    return next_random(random) % limit;
}

static size_t append(uint8_t *out, size_t count, const char *text) {
    size_t more = strlen(text);
    memcpy(out + count, text, more);
    return count + more;
}

static size_t append_one(uint64_t *random, uint8_t *out, size_t count, const parts *choice) {
    const char *const *texts = below(random, 16) > 0 ? choice->right : choice->wrong;
    size_t text_count = 0;
    while (texts[text_count] != NULL) {
        text_count++;
    }
    return append(out, count, texts[below(random, text_count)]);
}

static size_t build(uint64_t *random, uint8_t *out) {
    size_t count = below(random, 16) == 0 ? append(out, 0, "\r\n") : 0;
    count = append_one(random, out, count, &methods);
    count = append(out, count, " ");
    count = append_one(random, out, count, &targets);
    count = append(out, count, " ");
    count = append_one(random, out, count, &versions);
    count = append(out, count, "\r\n");
    if (below(random, 16) > 0) {
        count = append(out, count, "Host: h\r\n");
    }
    for (size_t left = below(random, 4); left > 0; left--) {
        count = append_one(random, out, count, &fields);
        count = append(out, count, "\r\n");
    }
    count = append(out, count, "\r\n");
    return append_one(random, out, count, &bodies);
}

static size_t mutate(uint64_t *random, uint8_t *bytes, size_t count) {
    static const uint8_t interesting[] = "\r\n\t :;,=\"\\/?#%@[]()0159afGZ+-_\0\x01\x0b\x7f\x80\xff";
    size_t at = below(random, count);
    uint8_t byte = interesting[below(random, sizeof interesting - 1)];
    switch (below(random, 4)) {
    case 0:
        bytes[at] = byte;
        return count;
    case 1:
        memmove(bytes + at + 1, bytes + at, count - at);
        bytes[at] = byte;
        return count + 1;
    case 2:
        memmove(bytes + at, bytes + at + 1, count - at - 1);
        return count - 1;
    default:
        return at + 1; /* cut off */
    }
}

size_t next_request(uint64_t *random, uint8_t out[REQUEST_BYTES_MAX]) {
    size_t count = build(random, out);
    size_t mutations = below(random, 2) == 0 ? 0 : below(random, 4);
    for (; mutations > 0 && count > 1; mutations--) {
        count = mutate(random, out, count);
    }
    return count;
}
