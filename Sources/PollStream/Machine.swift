import Glibc
import Reactor

/// What a machine grants to the sockets of one process. nil: it does not let us see, or has no such
/// thing.
struct Machine: Equatable {
    var softDescriptors: UInt64
    var hardDescriptors: UInt64
    var descriptorsPerProcess: UInt64?
    var openFiles: UInt64?
    /// Descriptors that all of a user's processes may wait for together (epoll(7)).
    var watches: UInt64?
    var acceptQueue: UInt64?
    var handshakeQueue: UInt64?
    /// Pages of socket buffers: what is low, what is pressed, what is the end.
    var tcpPages: [UInt64]?
    /// What is free, within the limit of the control group.
    var memoryBytes: UInt64?
    /// nil: connections are not tracked.
    var trackedConnections: UInt64?
    var allowsURing: Bool
    /// kernel.io_uring_disabled: 0 is for nobody, 1 for most, 2 for all.
    var uringDisabled: UInt64?
    var cores: Int
    var pageBytes: UInt64

    /// The one that this process runs on.
    static func current() -> Machine {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Machine(
            softDescriptors: UInt64(limit.rlim_cur), hardDescriptors: UInt64(limit.rlim_max),
            descriptorsPerProcess: numbers("/proc/sys/fs/nr_open")?.first,
            openFiles: numbers("/proc/sys/fs/file-max")?.first, watches: currentWatches(),
            acceptQueue: numbers("/proc/sys/net/core/somaxconn")?.first,
            handshakeQueue: numbers("/proc/sys/net/ipv4/tcp_max_syn_backlog")?.first,
            tcpPages: numbers("/proc/sys/net/ipv4/tcp_mem"),
            memoryBytes: freeMemory(),
            trackedConnections: numbers("/proc/sys/net/netfilter/nf_conntrack_max")?.first,
            allowsURing: (try? FanOut.auto.usesURing()) ?? false,
            uringDisabled: numbers("/proc/sys/kernel/io_uring_disabled")?.first,
            cores: Host.coreCount,
            pageBytes: UInt64(max(1, sysconf(Int32(_SC_PAGESIZE)))))
    }

    static func currentWatches() -> UInt64? {
        numbers("/proc/sys/fs/epoll/max_user_watches")?.first
    }

    private static func freeMemory() -> UInt64? {
        let available = Host.text(at: "/proc/meminfo").flatMap(availableBytes(inMemoryInformation:))
        return [ControlGroup.memoryLimit, available].compactMap(\.self).min()
    }

    /// The line `MemAvailable: 1024 kB` of /proc/meminfo.
    static func availableBytes(inMemoryInformation text: String) -> UInt64? {
        let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
        guard let words = line?.split(separator: " "), words.count > 1 else { return nil }
        return UInt64(words[1]).map { $0 * 1024 }
    }

    /// The numbers of a file of one line; nil where it has none, as "max" of a group without limit.
    private static func numbers(_ path: String) -> [UInt64]? {
        guard let text = Host.text(at: path) else { return nil }
        let numbers = text.split(whereSeparator: \.isWhitespace).compactMap { UInt64($0) }
        return numbers.isEmpty ? nil : numbers
    }
}
