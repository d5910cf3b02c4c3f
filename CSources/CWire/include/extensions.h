/* The offers of Sec-WebSocket-Extensions (RFC 6455 §9.1) for permessage-deflate (RFC 7692 §7). */
#ifndef PS_EXTENSIONS_H
#define PS_EXTENSIONS_H

#include "http.h"

/* Whether one of the offers in `head` can be accepted with a server's window of 2^9 bytes, which is
 * what ps_deflate writes. An offer with an unknown, repeated or malformed parameter, or with a
 * smaller window for the server, is declined and the next is looked at; what breaks the grammar ends
 * the reading of its field. `*names_window` tells whether the answer has to name
 * server_max_window_bits (§7.1.2.1). */
bool ps_ws_offers_deflate(const ps_http_head *head, bool *names_window);

#endif
