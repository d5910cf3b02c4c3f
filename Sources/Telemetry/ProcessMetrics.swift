import Glibc

/// The process as the kernel sees it, under the names that Prometheus clients agree on.
package struct ProcessMetrics: Sendable {
    /// Unix seconds.
    private let startTime: Double

    /// - Parameter startedAt: Unix milliseconds.
    package init(startedAt: Int64) { startTime = Double(startedAt) / 1_000 }

    /// Reads /proc. What cannot be read, as with no descriptor left, is left out.
    package func write(to text: inout MetricsText) {
        text.gauge(
            "process_start_time_seconds", "When the process started, Unix time.", startTime)
        text.counter(
            "process_cpu_seconds_total", "Processor time used, user and system.",
            seconds: Self.processorSeconds())
        if let count = Self.openDescriptors() {
            text.gauge("process_open_fds", "Open file descriptors.", count)
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            text.gauge(
                "process_max_fds", "File descriptors the process may open.", Double(limit.rlim_cur))
        }
        if let bytes = Self.residentBytes() {
            text.gauge("process_resident_memory_bytes", "Memory in physical pages.", bytes)
        }
    }

    /// Linux says how many there are since 6.2, as the size of the folder; before, they are counted,
    /// which takes milliseconds where there are ten thousand.
    static func openDescriptors() -> Int? {
        var folder = stat()
        if stat("/proc/self/fd", &folder) == 0, folder.st_size > 0 { return Int(folder.st_size) }
        return countedDescriptors()
    }

    /// The one that counts them is left out.
    static func countedDescriptors() -> Int? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        return count - 3  // ".", ".." and the folder itself
    }

    /// The second number of /proc/self/statm is in pages (proc(5)).
    static func residentBytes() -> Int? {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let numbers = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: " ")
        guard numbers.count > 1, let pages = Int(numbers[1]) else { return nil }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }

    static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
