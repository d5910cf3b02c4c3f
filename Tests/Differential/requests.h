/* Requests made of right and wrong parts, then mutated: the same ones for the same seed. */
#ifndef PS_REQUESTS_H
#define PS_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

enum { REQUEST_BYTES_MAX = 2048 };

/* Writes the next request, head and body, into `out`. Returns its length. */
size_t next_request(uint64_t *random, uint8_t out[REQUEST_BYTES_MAX]);

#endif
