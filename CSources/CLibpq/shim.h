#include <libpq-fe.h>
#include <stdbool.h>
#include <string.h>

/*
 * Server messages that are not errors would go to standard error otherwise. One is of interest: that a
 * commit no longer waits for its synchronous standby, because it was cancelled or timed out. It is known
 * by the server's function, since its text is translated and its code, 01000, is any warning's.
 */
static inline void ps_pq_take_notice(void *context, const PGresult *notice) {
    const char *function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
    if (function != NULL && strcmp(function, "SyncRepWaitForLSN") == 0) *(bool *)context = true;
}

/* `stopped_waiting` is set from then on where that happens, and must outlive the connection. */
static inline void ps_pq_watch_notices(PGconn *connection, bool *stopped_waiting) {
    PQsetNoticeReceiver(connection, ps_pq_take_notice, stopped_waiting);
}
