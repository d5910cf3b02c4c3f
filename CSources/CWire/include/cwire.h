/* CWire: bytes in, meaning out. No sockets, no heap, no globals, libc only.
 *
 * Every parser has three answers (enum ps_answer), never reads past its length and never keeps a
 * pointer beyond the call: what it returns points into the bytes it was given. So each may be called
 * on any thread, calls nothing back and owns nothing; a declaration says what else is to be known. */
#ifndef PS_CWIRE_H
#define PS_CWIRE_H

#include "answer.h"
#include "extensions.h"
#include "handshake.h"
#include "http.h"
#include "json.h"
#include "proxy.h"
#include "utf8.h"
#include "websocket.h"
#include "websocket_client.h"

#endif
