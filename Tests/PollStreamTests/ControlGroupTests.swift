import Foundation
import Testing

@testable import PollStream

struct ControlGroupTests {
    @Test func `a group, and all around it, may limit memory`() {
        #expect(
            ControlGroup.memoryFiles(ofGroups: "0::/system.slice/pollstream.service\n") == [
                "/sys/fs/cgroup/system.slice/pollstream.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ])
        #expect(
            ControlGroup.memoryFiles(ofGroups: "5:cpu,memory:/docker/1\n4:cpuset:/\n") == [
                "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ])
        #expect(
            ControlGroup.memoryFiles(ofGroups: "0::/../../elsewhere\n")
                == ["/sys/fs/cgroup/memory.max"])
        #expect(ControlGroup.memoryFiles(ofGroups: "0::/\n") == ["/sys/fs/cgroup/memory.max"])
        for noise in ["", "nothing", "1:memory", "::", "7:memoryless:/"] {
            #expect(ControlGroup.memoryFiles(ofGroups: noise).count == (noise == "::" ? 1 : 0))
        }
    }

    @Test func `the least limit counts, and what is no number is none`() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "pollstream-groups-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func file(_ name: String, _ text: String) throws -> String {
            let url = folder.appending(path: name)
            try text.write(to: url, atomically: true, encoding: .utf8)
            return url.path
        }
        let paths = [
            try file("unlimited", "max\n"), try file("large", "9223372036854771712\n"),
            try file("small", "268435456\n"), try file("empty", ""), "/nowhere/memory.max",
        ]
        #expect(ControlGroup.memoryLimit(paths: paths) == 268_435_456)
        #expect(ControlGroup.memoryLimit(paths: [paths[0], paths[3], paths[4]]) == nil)
        #expect(ControlGroup.memoryLimit(paths: []) == nil)
    }

    @Test func `buffers may hold a quarter of the memory, or what is asked for`() throws {
        var configuration = try Configuration(arguments: [:], environment: { _ in nil })
        #expect(configuration.bufferLimit(memoryBytes: 256 << 20) == 64 << 20)
        #expect(configuration.bufferLimit(memoryBytes: 0) == 1 << 20)
        configuration = try Configuration(
            arguments: ["limit": ["buffer-bytes=100MiB"]], environment: { _ in nil })
        #expect(configuration.bufferLimit(memoryBytes: 256 << 20) == 100 << 20)
        let problems = #expect(throws: ConfigurationProblems.self) {
            try Configuration(
                arguments: ["limit": ["buffer-bytes=1MiB", "body-bytes=500KiB"]],
                environment: { _ in nil })
        }
        #expect(problems?.problems.count == 1)
        #expect(problems?.problems[0].contains("give 2MiB,") == true)
        let physical = ProcessInfo.processInfo.physicalMemory
        #expect(Host.memoryBytes > 0 && Host.memoryBytes <= physical)
    }
}
