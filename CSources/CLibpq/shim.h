#include <libpq-fe.h>

/* Server messages that are not errors would go to standard error otherwise. */
static inline void ps_pq_ignore_notice(void *context, const PGresult *result) {
    (void)context;
    (void)result;
}

static inline void ps_pq_silence(PGconn *connection) {
    PQsetNoticeReceiver(connection, ps_pq_ignore_notice, (void *)0);
}
