/* What the JSON files share about text that was validated. */
#ifndef PS_JSON_TEXT_H
#define PS_JSON_TEXT_H

#include "json.h"

/* Reads one unit at `*cursor`: a byte as it is, or an escape (with its second half for a pair of
 * surrogates) as the UTF-8 it stands for. Returns the count of bytes in `out`, and moves on. */
size_t ps_json_take_unit(uint8_t out[4], const uint8_t **cursor);

/* Whether two members of an object have the same name. Uses `next` of the names while it works.
 * Time: n log n comparisons for n members, whatever their names. */
bool ps_json_has_duplicate(ps_json_value *values, uint32_t object, const uint8_t *text);

#endif
