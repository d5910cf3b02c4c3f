#ifndef FAULTS_H
#define FAULTS_H

/* A disk that fails when told to: a SQLite VFS over the default one, whose writes, truncations and
 * syncs return an error from the nth on. */
typedef struct faults faults;

/* Registers a VFS called `name`, which must live as long as it.
 *
 * Thread:    any.
 * Calls:     nothing back.
 * Ownership: the caller destroys it, after the last connection that uses it is closed.
 * Returns:   NULL when out of memory or refused by SQLite. */
faults *faults_create(const char *name);

/* Unregisters and frees it. */
void faults_destroy(faults *disk);

/* After `skipped` further operations the next `failing` ones return `code`, an SQLITE_ error.
 * With `syncs_only` writes go through and do not count. Any thread; no operation may be under way.*/
void faults_arm(faults *disk, long skipped, long failing, int code, int syncs_only);

/* Operations that have failed since faults_arm. Any thread. */
long faults_count(const faults *disk);

#endif
