/* The four forms of a request target (RFC 9112 §3.2). */
#ifndef PS_HTTP_TARGET_H
#define PS_HTTP_TARGET_H

#include "http.h"

/* Fills path, query and, of an absolute form, host from head->target; head->method decides which
 * form is right. Returns whether it is. */
bool ps_http_split_target(ps_http_head *head);

/* Whether the text is a host, with a port after a colon if any: no user, no empty host, a port
 * below 65536. An IPv6 address stands in brackets. */
bool ps_http_authority_is_valid(ps_bytes text, bool requires_port);

#endif
