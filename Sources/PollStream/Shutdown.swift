import Glibc
import Threads

/// How a process is asked to stop: by signal, or by `POST /drain`. Signals are blocked everywhere
/// and taken by the one thread that waits for them here.
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

    /// Before the first thread starts: threads inherit what is blocked. SIGHUP is taken and means
    /// nothing; SIGPIPE, SIGUSR1 and SIGUSR2 end nothing.
    static func blockSignals() {
        var signals = taken
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        for ignored in [SIGPIPE, SIGUSR1, SIGUSR2] { signal(ignored, SIG_IGN) }
    }

    /// Asks to drain, from any thread. Asking again changes nothing.
    func request(seconds: Int?) {
        let isFirst = monitor.withLock {
            if requested != nil { return false }
            requested = Request(drainMilliseconds: seconds.map { $0 * 1_000 })
            return true
        }
        // Wakes `wait`, which finds the request.
        if isFirst { kill(getpid(), SIGHUP) }
    }

    /// Blocks until the process is to drain, or for a second time to stop.
    /// - Parameter deadline: monotonic nanoseconds; nil waits for ever.
    /// - Returns: nil when the deadline has passed.
    func wait(isDraining: Bool, until deadline: Int64?) -> Event? {
        while true {
            var signals = Self.taken
            let signal: Int32
            if let deadline {
                let rest = max(0, deadline - Clock.monotonicNanoseconds())
                var timeout = timespec(
                    tv_sec: Int(rest / 1_000_000_000), tv_nsec: Int(rest % 1_000_000_000))
                signal = sigtimedwait(&signals, nil, &timeout)
                if signal < 0, errno == EAGAIN { return nil }
            } else {
                signal = sigwaitinfo(&signals, nil)
            }
            switch signal {
            case SIGTERM, SIGINT:
                return isDraining ? .stop : .drain(Request())
            case SIGHUP:
                if !isDraining, let request = monitor.withLock({ requested }) {
                    return .drain(request)
                }
            default:
                continue  // interrupted
            }
        }
    }

    private static var taken: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, signal) }
        return signals
    }
}
