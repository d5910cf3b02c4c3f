/// What the groups of processes that this one is in allow it, as systemd, containers and Kubernetes set it.
enum ControlGroup {
    /// The least of their limits on memory, in bytes; nil where none is set, or to be seen.
    static var memoryLimit: UInt64? {
        let groups = Host.text(at: "/proc/self/cgroup") ?? ""
        return memoryLimit(paths: memoryFiles(ofGroups: groups))
    }

    /// - Parameter paths: of files of one number each; "max", and files that are not there, limit nothing.
    static func memoryLimit(paths: [String]) -> UInt64? {
        paths.compactMap { path in
            Host.text(at: path).flatMap { text in
                UInt64(text.prefix { !$0.isWhitespace })
            }
        }.min()
    }

    /// Where the limits on memory stand, the innermost group first. Each group around one limits it, too. A
    /// container may see its own group at the root, whatever its path says, so that the root is among them.
    /// - Parameter text: of /proc/self/cgroup: `0::/system.slice/…` (version 2), `4:memory:/…` (version 1).
    static func memoryFiles(ofGroups text: String) -> [String] {
        text.split(separator: "\n").flatMap { line -> [String] in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { return [] }
            let folder: String
            let file: String
            if parts[1].isEmpty {
                (folder, file) = ("/sys/fs/cgroup", "memory.max")
            } else if parts[1].split(separator: ",").contains("memory") {
                (folder, file) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            } else {
                return []
            }
            var names = parts[2].split(separator: "/")
            // A group outside of what we may see.
            if names.contains("..") { names = [] }
            return (0...names.count).map { depth in
                ([folder] + names.dropLast(depth).map(String.init) + [file])
                    .joined(separator: "/")
            }
        }
    }
}
