import Testing

@testable import PollStream

struct TuningTests {
    /// A machine where 20,000 sockets lack nothing.
    private static let ample = Machine(
        softDescriptors: 1_024, hardDescriptors: 1_048_576, descriptorsPerProcess: 1_048_576,
        openFiles: .max, watches: 1_048_576, acceptQueue: 4_096, handshakeQueue: 4_096,
        tcpPages: [150_000, 200_000, 300_000], memoryBytes: 4 << 30, trackedConnections: 262_144,
        allowsURing: true, uringDisabled: 0, cores: 2, pageBytes: 4_096)

    private static let crowd = Crowd(sockets: 20_000, loops: 2)

    private func verdict(
        _ name: String, for crowd: Crowd = crowd, _ edit: (inout Machine) -> Void = { _ in }
    ) -> Grant.Verdict? {
        var machine = Self.ample
        edit(&machine)
        return Grant.findings(on: machine, for: crowd).first { $0.name == name }?.verdict
    }

    private func remedy(
        _ name: String, for crowd: Crowd = crowd, _ edit: (inout Machine) -> Void = { _ in }
    ) -> String? {
        switch verdict(name, for: crowd, edit) {
        case .change(_, let remedy), .better(_, let remedy): remedy
        case .fine, .unseen, nil: nil
        }
    }

    @Test func `a machine that has enough of everything is told so, by name`() {
        let findings = Grant.findings(on: Self.ample, for: Self.crowd)
        #expect(!findings.contains { $0.isChange })
        #expect(
            Set(findings.map(\.name))
                == Set(Grant.all.map(\.name)).subtracting(["--limit connections"]))
        // 20,000 × 5 µs on two cores are 50 ms, the tick.
        for finding in findings {
            guard case .fine = finding.verdict else {
                Issue.record("\(finding)")
                continue
            }
        }
    }

    @Test func `each number is enough at what is needed, and too little one below`() {
        let tables:
            [(
                name: String, needed: UInt64, path: WritableKeyPath<Machine, UInt64?>,
                remedy: String
            )] = [
                ("fs.nr_open", 20_224, \.descriptorsPerProcess, "sysctl -w fs.nr_open=20224"),
                (
                    "fs.epoll.max_user_watches", 20_224, \.watches,
                    "sysctl -w fs.epoll.max_user_watches=20224"
                ),
                ("fs.file-max", 28_416, \.openFiles, "sysctl -w fs.file-max=28416"),
                ("net.core.somaxconn", 4_096, \.acceptQueue, "sysctl -w net.core.somaxconn=4096"),
                (
                    "net.ipv4.tcp_max_syn_backlog", 4_096, \.handshakeQueue,
                    "sysctl -w net.ipv4.tcp_max_syn_backlog=4096"
                ),
                (
                    "net.netfilter.nf_conntrack_max", 29_096, \.trackedConnections,
                    "sysctl -w net.netfilter.nf_conntrack_max=29096"
                ),
                (
                    "memory", 64 << 20 + 20_000 * 9_552, \.memoryBytes,
                    "more memory for the machine or the container, or more gateways"
                ),
            ]
        for (name, needed, path, wanted) in tables {
            #expect(remedy(name) { $0[keyPath: path] = needed } == nil, "\(name)")
            #expect(remedy(name) { $0[keyPath: path] = needed - 1 } == wanted, "\(name)")
        }
    }

    @Test func `the hard limit of descriptors counts, as the gateway raises the soft one`() {
        #expect(remedy("ulimit -n") { $0.softDescriptors = 10 } == nil)
        #expect(remedy("ulimit -n") { $0.hardDescriptors = 20_224 } == nil)
        let told = remedy("ulimit -n") { $0.hardDescriptors = 20_223 }
        #expect(told?.hasPrefix("ulimit -n 20224 ") == true)
        #expect(told?.contains("LimitNOFILE=20224") == true)
    }

    @Test func `what is needed leaves as many connections as are to come`() throws {
        let configuration = try Configuration(
            arguments: ["loops": ["3"]], environment: { _ in nil })
        let crowd = configuration.crowd(of: 5_000)
        #expect(configuration.connectionLimit(descriptors: crowd.descriptors) == 5_000)
        #expect(configuration.connectionLimit(descriptors: crowd.descriptors - 1) == 4_999)
        let most = UInt64.max
        #expect(
            configuration.connectionLimit(descriptors: most, watches: crowd.descriptors) == 5_000)
        #expect(
            configuration.connectionLimit(descriptors: crowd.descriptors, watches: most) == 5_000)
    }

    @Test func `the pages of TCP keep the kernel's own proportions`() {
        #expect(remedy("net.ipv4.tcp_mem") { $0.tcpPages = [1, 20_000, 2] } == nil)
        #expect(
            remedy("net.ipv4.tcp_mem") { $0.tcpPages = [0, 19_999, 100_000] }
                == #"sysctl -w net.ipv4.tcp_mem="15000 20000 30000""#)
    }

    @Test func `a few sockets ask for short queues, and more loops for shorter ones`() {
        var few = Self.crowd
        few.sockets = 300
        #expect(
            remedy("net.core.somaxconn", for: few) { $0.acceptQueue = 149 }
                == "sysctl -w net.core.somaxconn=150")
        few.loops = 4
        #expect(
            remedy("net.core.somaxconn", for: few) { $0.acceptQueue = 127 }
                == "sysctl -w net.core.somaxconn=128")
    }

    @Test func `what cannot be seen is said, and what is not there is not`() {
        #expect(verdict("net.core.somaxconn") { $0.acceptQueue = nil } == .unseen)
        #expect(verdict("net.ipv4.tcp_mem") { $0.tcpPages = nil } == .unseen)
        #expect(verdict("memory") { $0.memoryBytes = nil } == .unseen)
        #expect(verdict("net.netfilter.nf_conntrack_max") { $0.trackedConnections = nil } == nil)
        #expect(verdict("--limit connections") == nil)
    }

    @Test func `a limit of our own below the crowd is to be changed`() {
        var crowd = Self.crowd
        crowd.connectionLimit = 20_000
        #expect(verdict("--limit connections", for: crowd) == .fine("20000"))
        crowd.connectionLimit = 19_999
        #expect(
            remedy("--limit connections", for: crowd)
                == "--limit connections=20000, or leave it out")
    }

    @Test func `TLS takes more memory for each socket`() {
        var crowd = Self.crowd
        crowd.endsTLS = true
        let plain: UInt64 = 64 << 20 + 20_000 * 9_552
        #expect(remedy("memory") { $0.memoryBytes = plain } == nil)
        #expect(remedy("memory", for: crowd) { $0.memoryBytes = plain } != nil)
    }

    @Test func `io_uring that is refused is no more than a pity, and who refuses is told apart`() {
        #expect(
            remedy("kernel.io_uring_disabled") {
                $0.allowsURing = false
                $0.uringDisabled = 2
            } == "sysctl -w kernel.io_uring_disabled=0")
        for disabled: UInt64? in [0, nil] {
            let told = remedy("kernel.io_uring_disabled") {
                $0.allowsURing = false
                $0.uringDisabled = disabled
            }
            #expect(told?.contains("seccomp") == true)
        }
    }

    @Test func `too few cores stretch the tick, and are no reason to fail`() {
        let verdict = verdict("cores") { $0.cores = 1 }
        #expect(
            verdict
                == .better(
                    "1; one poll watched by all moves every 100 ms, not every 50",
                    remedy: "2 cores with a loop each, or more gateways, or be content"))
        var slow = Self.crowd
        slow.tickNanoseconds = 100_000_000
        #expect(remedy("cores", for: slow) { $0.cores = 1 } == nil)
        slow.loops = 1
        #expect(remedy("cores", for: slow) == nil)
    }

    @Test func `advice says what to type, and why`() {
        let findings = Grant.findings(
            on: Self.ample, for: Crowd(sockets: 300_000, loops: 2, connectionLimit: 5))
        for finding in findings {
            guard finding.isChange else { continue }
            #expect(finding.lines.count == 3)
            #expect(finding.lines[0].hasPrefix("change  \(finding.name): "))
            #expect(finding.lines[2].hasSuffix(finding.why))
        }
        #expect(
            findings.filter(\.isChange).map(\.name) == [
                "--limit connections", "net.ipv4.tcp_mem", "net.netfilter.nf_conntrack_max",
            ])
    }

    @Test func `what the kernel writes is read`() {
        let memory = "MemTotal:       24598632 kB\nMemAvailable:   21847216 kB\n"
        #expect(Machine.availableBytes(inMemoryInformation: memory) == 21_847_216 << 10)
        #expect(Machine.availableBytes(inMemoryInformation: "MemFree: 1 kB\n") == nil)
        #expect(Machine.availableBytes(inMemoryInformation: "MemAvailable:") == nil)
        let here = Machine.current()
        #expect(here.hardDescriptors >= here.softDescriptors && here.softDescriptors > 0)
        #expect(here.memoryBytes ?? 0 > 0 && here.cores > 0)
    }
}
