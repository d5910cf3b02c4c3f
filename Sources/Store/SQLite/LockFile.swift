import Glibc

/// Says "this database is taken" until it is released, or the object goes; the kernel takes the lock away
/// when the process ends, however it ends. A file of its own: SQLite's locks on the database would
/// be lost if this process opened and closed it behind SQLite's back (POSIX advisory locks).
final class LockFile: Sendable {
    private let descriptor: Int32

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
    }

    /// The file stays: were it removed, a gateway that had opened it before and one that makes it
    /// anew would both hold "the" lock.
    func release() { flock(descriptor, LOCK_UN) }

    deinit { Glibc.close(descriptor) }
}
