import Glibc
import Synchronization

/// Says "this database is taken" until it is released, or the object goes; the kernel takes the lock away
/// when the process ends, however it ends. A file of its own: SQLite's locks on the database would
/// be lost if this process opened and closed it behind SQLite's back (POSIX advisory locks).
///
/// It holds a byte while the database is open, so that the next one knows how the last use ended.
final class LockFile: Sendable {
    private let descriptor: Int32
    /// The last gateway did not close the database.
    let wasLeftOpen: Bool
    private let isHeld = Atomic(true)

    /// - Throws: `.unusable` where another gateway holds it or the file cannot be made.
    init(path: String) throws(StoreError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .unusable(reason: "\(path): \(SQLiteFile.errorText(errno))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw .unusable(
                reason: code == EWOULDBLOCK
                    ? "another gateway uses this database (\(path) is locked)"
                    : "\(path): \(SQLiteFile.errorText(code))")
        }
        self.descriptor = descriptor
        wasLeftOpen = lseek(descriptor, 0, SEEK_END) > 0
    }

    /// Notes that the database is open. Where that cannot be written, the next one knows nothing of it.
    func noteOpen() {
        _ = pwrite(descriptor, "1", 1, 0)
        _ = fsync(descriptor)
    }

    /// The database is closed. The file stays: were it removed, a gateway that had opened it before and
    /// one that makes it anew would both hold "the" lock. Idempotent.
    func release() {
        guard isHeld.exchange(false, ordering: .sequentiallyConsistent) else { return }
        _ = ftruncate(descriptor, 0)
        _ = fsync(descriptor)
        flock(descriptor, LOCK_UN)
    }

    deinit { Glibc.close(descriptor) }
}
