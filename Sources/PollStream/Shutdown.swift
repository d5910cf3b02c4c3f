import Glibc
import Threads

/// How a process is asked to stop: by signal, or by `POST /drain`. The one thread that waits here
/// hears of both.
final class Shutdown: @unchecked Sendable {
    // `monitor` guards `requested`.
    private let monitor = Monitor()
    private var requested: Request?

    struct Request: Equatable {
        /// nil: as configured.
        var drainMilliseconds: Int?
    }

    enum Event: Equatable {
        /// Begin to drain.
        case drain(Request)
        /// Stop at once: asked a second time.
        case stop
    }

    /// Asks to drain, from any thread. Asking again changes nothing.
    func request(seconds: Int?) {
        let isFirst = monitor.withLock {
            if requested != nil { return false }
            requested = Request(drainMilliseconds: seconds.map { $0 * 1_000 })
            return true
        }
        // Wakes `wait`, which finds the request.
        if isFirst { kill(getpid(), Signal.wake) }
    }

    /// Blocks until the process is to drain, or for a second time to stop.
    /// - Parameter deadline: monotonic nanoseconds; nil waits for ever.
    /// - Returns: nil when the deadline has passed.
    func wait(isDraining: Bool, until deadline: Int64?) -> Event? {
        let signals = Signal.stopping + [Signal.wake]
        while true {
            let signal =
                deadline.map { Signal.wait(for: signals, until: $0) } ?? Signal.wait(for: signals)
            switch signal {
            case SIGTERM, SIGINT:
                return isDraining ? .stop : .drain(Request())
            case Signal.wake:
                if !isDraining, let request = monitor.withLock({ requested }) {
                    return .drain(request)
                }
            case 0:
                return nil
            default:
                continue  // interrupted
            }
        }
    }
}
