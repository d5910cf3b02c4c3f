#include <sqlite3.h>

/* The destructor constants are casts, which Swift cannot import. */
static inline sqlite3_destructor_type ps_sqlite_transient(void) {
    return SQLITE_TRANSIENT;
}

static inline sqlite3_destructor_type ps_sqlite_static(void) {
    return SQLITE_STATIC;
}

/* sqlite3_db_config() is variadic, which Swift cannot call. Sets a switch to 0 or 1. */
static inline int ps_sqlite_set(sqlite3 *database, int name, int value) {
    return sqlite3_db_config(database, name, value, (int *)0);
}
