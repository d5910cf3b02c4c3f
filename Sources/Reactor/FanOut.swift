import CReactor
import Glibc

/// How sweeps reach the kernel.
package enum FanOut: String, CaseIterable, Sendable {
    /// By io_uring where the kernel lets us.
    case auto
    /// A system call for each subscriber.
    case send
    /// A system call for each slice of subscribers.
    case uring

    /// - Throws: `ReactorError.system` where io_uring is asked for and does not work here.
    package func usesURing() throws(ReactorError) -> Bool {
        if self == .send { return false }
        let error = ps_uring_try()
        if error == 0 { return true }
        if self == .auto { return false }
        throw .system(operation: "use io_uring", reason: String(cString: strerror(error)))
    }
}
