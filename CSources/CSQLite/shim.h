#include <sqlite3.h>

/* The destructor constants are casts, which Swift cannot import. */
static inline sqlite3_destructor_type ps_sqlite_transient(void) {
    return SQLITE_TRANSIENT;
}

static inline sqlite3_destructor_type ps_sqlite_static(void) {
    return SQLITE_STATIC;
}
