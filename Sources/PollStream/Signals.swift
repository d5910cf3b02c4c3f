import Glibc
import Telemetry
import Threads

/// What a running process takes from files that may be replaced: certificates, keys. Read once at
/// the start and again at each SIGHUP.
struct Reloadable: Sendable {
    /// As the log names it: "JWT keys".
    let name: String
    /// Reads everything anew, and puts it in place of the old where all of it is good. May block.
    /// - Returns: what was found, for the log; nothing secret.
    /// - Throws: what is wrong, in words; the old stays in use.
    let reload: @Sendable () throws -> String
}

/// What signals do besides ending the process: SIGHUP reads files again, SIGUSR1 makes the log one
/// level more talkative, SIGUSR2 one less. A thread of its own waits for them and does it, since
/// reading a file may block.
final class Signals: @unchecked Sendable {
    private let log: Log
    private let manager: ServiceManager
    // Appended to before `start`, read by the thread after it.
    private var reloadables: [Reloadable] = []

    init(log: Log, manager: ServiceManager) {
        self.log = log
        self.manager = manager
    }

    /// Before `start`; in the order in which they are to be read.
    func onReload(_ reloadable: Reloadable) { reloadables.append(reloadable) }

    /// The thread is never joined: it waits until the process is gone.
    func start() {
        _ = Thread(name: "signals") { [self] in
            while true { take(Signal.wait(for: Signal.handled)) }
        }
    }

    private func take(_ signal: Int32) {
        switch signal {
        case SIGHUP:
            manager.reloading(atMonotonicNanoseconds: Clock.monotonicNanoseconds())
            if reloadables.isEmpty { log.notice("nothing to reload") }
            for reloadable in reloadables { reload(reloadable) }
            manager.ready("serving")
        case SIGUSR1: setLevel(log.level.moreTalkative)
        case SIGUSR2: setLevel(log.level.lessTalkative)
        default: break  // interrupted
        }
    }

    private func reload(_ reloadable: Reloadable) {
        do {
            log.notice("reloaded", ["what": reloadable.name, "found": try reloadable.reload()])
        } catch {
            log.error(
                "not reloaded; the old stays in use",
                ["what": reloadable.name, "reason": "\(error)"])
        }
    }

    /// Said while the more talkative of both levels holds, so that it is seen if it can be.
    private func setLevel(_ level: Log.Level) {
        if level == log.level.moreTalkative { log.level = level }
        log.notice("log level", ["level": level.rawValue])
        log.level = level
    }
}

/// The signals of the process. All are blocked from the start on and taken by who waits for them,
/// so that no code of ours ever runs inside a signal handler.
enum Signal {
    static let handled = [SIGHUP, SIGUSR1, SIGUSR2]
    static let stopping = [SIGTERM, SIGINT]
    /// Wakes the thread that waits for `stopping`; means nothing when it comes from outside.
    static let wake = __libc_current_sigrtmin()

    /// Before the first thread starts: threads inherit what is blocked.
    static func blockAll() {
        var signals = set(handled + stopping + [wake])
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// - Returns: the signal, or a negative number where the wait was interrupted.
    static func wait(for signals: [Int32]) -> Int32 {
        var signals = set(signals)
        return sigwaitinfo(&signals, nil)
    }

    /// - Parameter deadline: monotonic nanoseconds.
    /// - Returns: the signal, 0 once `deadline` has passed, or a negative number where the wait was
    ///   interrupted.
    static func wait(for signals: [Int32], until deadline: Int64) -> Int32 {
        let rest = max(0, deadline - Clock.monotonicNanoseconds())
        var timeout = timespec(
            tv_sec: Int(rest / 1_000_000_000), tv_nsec: Int(rest % 1_000_000_000))
        var signals = set(signals)
        let signal = sigtimedwait(&signals, nil, &timeout)
        return signal < 0 && errno == EAGAIN ? 0 : signal
    }

    private static func set(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        return set
    }
}
