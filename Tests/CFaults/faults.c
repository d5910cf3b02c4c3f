#include "faults.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct faults {
    sqlite3_vfs vfs;
    sqlite3_vfs *below;
    atomic_long skipped;
    atomic_long failing;
    atomic_long failed;
    int code;
    int syncs_only;
};

/* A file of ours is followed in memory by the file below. */
typedef struct {
    sqlite3_file base;
    faults *disk;
} faulty_file;

static faulty_file *faulty(sqlite3_file *file) {
    return (faulty_file *)file;
}

static sqlite3_file *below(sqlite3_file *file) {
    return (sqlite3_file *)(faulty(file) + 1);
}

/* The error for the operation that is about to happen, or SQLITE_OK. */
static int fault(sqlite3_file *file, int is_sync) {
    faults *disk = faulty(file)->disk;
    if (disk->syncs_only && !is_sync)
        return SQLITE_OK;
    if (atomic_fetch_sub(&disk->skipped, 1) > 0)
        return SQLITE_OK;
    if (atomic_fetch_sub(&disk->failing, 1) <= 0)
        return SQLITE_OK;
    atomic_fetch_add(&disk->failed, 1);
    return disk->code;
}

static int file_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    int code = fault(file, 0);
    return code ? code : below(file)->pMethods->xWrite(below(file), bytes, count, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int code = fault(file, 0);
    return code ? code : below(file)->pMethods->xTruncate(below(file), size);
}

static int file_sync(sqlite3_file *file, int flags) {
    int code = fault(file, 1);
    return code ? code : below(file)->pMethods->xSync(below(file), flags);
}

static int file_close(sqlite3_file *file) {
    return below(file)->pMethods->xClose(below(file));
}

static int file_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    return below(file)->pMethods->xRead(below(file), bytes, count, offset);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
    return below(file)->pMethods->xFileSize(below(file), size);
}

static int file_lock(sqlite3_file *file, int level) {
    return below(file)->pMethods->xLock(below(file), level);
}

static int file_unlock(sqlite3_file *file, int level) {
    return below(file)->pMethods->xUnlock(below(file), level);
}

static int file_check_lock(sqlite3_file *file, int *is_reserved) {
    return below(file)->pMethods->xCheckReservedLock(below(file), is_reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument) {
    return below(file)->pMethods->xFileControl(below(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file) {
    return below(file)->pMethods->xSectorSize(below(file));
}

static int file_characteristics(sqlite3_file *file) {
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
    return below(file)->pMethods->xShmMap(below(file), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return below(file)->pMethods->xShmLock(below(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file) {
    below(file)->pMethods->xShmBarrier(below(file));
}

static int file_shm_unmap(sqlite3_file *file, int is_deleted) {
    return below(file)->pMethods->xShmUnmap(below(file), is_deleted);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int disk_open(
    sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags) {
    faults *disk = vfs->pAppData;
    faulty(file)->disk = disk;
    int code = disk->below->xOpen(disk->below, path, below(file), flags, out_flags);
    /* Without methods SQLite does not call xClose. */
    file->pMethods = code == SQLITE_OK ? &methods : NULL;
    return code;
}

faults *faults_create(const char *name) {
    faults *disk = calloc(1, sizeof *disk);
    if (!disk)
        return NULL;
    disk->below = sqlite3_vfs_find(NULL);
    disk->vfs = *disk->below;
    disk->vfs.zName = name;
    disk->vfs.pNext = NULL;
    disk->vfs.pAppData = disk;
    disk->vfs.szOsFile = (int)sizeof(faulty_file) + disk->below->szOsFile;
    disk->vfs.xOpen = disk_open;
    if (sqlite3_vfs_register(&disk->vfs, 0) != SQLITE_OK) {
        free(disk);
        return NULL;
    }
    return disk;
}

void faults_destroy(faults *disk) {
    sqlite3_vfs_unregister(&disk->vfs);
    free(disk);
}

void faults_arm(faults *disk, long skipped, long failing, int code, int syncs_only) {
    disk->code = code;
    disk->syncs_only = syncs_only;
    atomic_store(&disk->failed, 0);
    atomic_store(&disk->skipped, skipped);
    atomic_store(&disk->failing, failing);
}

long faults_count(const faults *disk) {
    return atomic_load(&disk->failed);
}
