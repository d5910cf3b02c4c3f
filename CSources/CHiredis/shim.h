/* hiredis names timeval, and leaves its definition to whoever includes it. */
#include <sys/time.h>

#include <hiredis/hiredis.h>

/* `errstr` is an array, which Swift sees as a tuple. */
static inline const char *ps_redis_error(const redisContext *context) {
    return context->errstr;
}
