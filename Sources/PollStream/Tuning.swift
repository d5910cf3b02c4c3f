import Reactor

/// The sockets that a gateway is to serve, and how.
struct Crowd: Equatable {
    var sockets: Int
    var loops: Int
    var endsTLS = false
    var tickNanoseconds: UInt64 = 50_000_000
    /// `--limit connections`
    var connectionLimit: Int?

    /// What the process opens for itself beside them; see `Configuration.connectionLimit`.
    var descriptors: UInt64 { UInt64(sockets + Configuration.descriptorReserve(loops: loops)) }
}

/// What a machine grants, judged for a crowd. Reads nothing: `Machine` does.
struct Grant: Sendable {
    /// As sysctl, the shell or `pollstream` calls it.
    let name: String
    let why: String
    private let judge: @Sendable (Machine, Crowd) -> Verdict?

    enum Verdict: Equatable {
        case fine(String)
        /// It works without, and less well.
        case better(String, remedy: String)
        /// The crowd does not fit in.
        case change(String, remedy: String)
        case unseen
    }

    struct Finding: Equatable {
        let name: String
        let why: String
        let verdict: Verdict
    }

    /// What there is to say for each grant that the machine has.
    static func findings(on machine: Machine, for crowd: Crowd) -> [Finding] {
        all.compactMap { grant in
            grant.judge(machine, crowd).map {
                Finding(name: grant.name, why: grant.why, verdict: $0)
            }
        }
    }

    static let all: [Grant] = [
        Grant(
            name: "--limit connections",
            why: "past it the gateway answers 503, whatever the machine would grant"
        ) { _, crowd in
            guard let limit = crowd.connectionLimit else { return nil }
            return limit >= crowd.sockets
                ? .fine("\(limit)")
                : .change(
                    "\(limit), and \(crowd.sockets) are to come",
                    remedy: "--limit connections=\(crowd.sockets), or leave it out")
        },
        Grant(
            name: "ulimit -n",
            why: "each socket is a descriptor; the gateway raises its soft limit to the hard one"
        ) { machine, crowd in
            let needed = crowd.descriptors
            return machine.hardDescriptors >= needed
                ? .fine(
                    "\(machine.softDescriptors), hard \(machine.hardDescriptors); "
                        + "\(needed) are needed")
                : .change(
                    "hard \(machine.hardDescriptors), and \(needed) are needed",
                    remedy: """
                        ulimit -n \(needed)    (as root, in this shell; LimitNOFILE=\(needed) in a \
                        unit; --ulimit nofile=\(needed) for a container)
                        """)
        },
        sysctl(
            "fs.nr_open", "no limit of a process can be above it",
            { $0.descriptorsPerProcess }, atLeast: { $1.descriptors }),
        sysctl(
            "fs.file-max", "all processes of the machine together have no more open files",
            { $0.openFiles }, atLeast: { $1.descriptors + 8_192 }),
        sysctl(
            "fs.epoll.max_user_watches",
            """
            sockets that all processes of one user may wait for together; the gateway takes no more \
            connections than that
            """,
            { $0.watches }, atLeast: { $1.descriptors }),
        sysctl(
            "net.core.somaxconn",
            """
            a crowd that comes at once waits there, for each loop, until it is accepted; whoever does \
            not fit in tries again a second later, and then two
            """,
            { $0.acceptQueue }, atLeast: { UInt64($1.arrivals) }),
        sysctl(
            "net.ipv4.tcp_max_syn_backlog",
            """
            handshakes under way; past it they are lost or, with net.ipv4.tcp_syncookies, go on \
            without window scaling
            """,
            { $0.handshakeQueue }, atLeast: { UInt64($1.arrivals) }, isNeeded: false),
        Grant(
            name: "net.ipv4.tcp_mem",
            why: """
                pages of all socket buffers: a tally under way takes one for each viewer, and above \
                the second number the kernel begins to shrink windows and to drop
                """
        ) { machine, crowd in
            guard let pages = machine.tcpPages, pages.count == 3 else { return .unseen }
            let needed = UInt64(crowd.sockets)
            // Between the three as the kernel has them: 3/4, 1, 3/2.
            return pages[1] >= needed
                ? .fine("\(pages[1]) before pressure; \(needed) are needed")
                : .change(
                    "\(pages[1]) before pressure, and \(needed) are needed",
                    remedy: """
                        sysctl -w net.ipv4.tcp_mem="\(needed * 3 / 4) \(needed) \(needed * 3 / 2)"
                        """)
        },
        Grant(
            name: "memory",
            why: """
                for each socket: what the gateway keeps, 5 KiB of the kernel's, and a page under way
                """
        ) { machine, crowd in
            guard let free = machine.memoryBytes else { return .unseen }
            let needed = crowd.memoryBytes(pageBytes: machine.pageBytes)
            return free >= needed
                ? .fine("\(mebibytes(free)) free; \(mebibytes(needed)) are needed")
                : .change(
                    "\(mebibytes(free)) free, and \(mebibytes(needed)) are needed",
                    remedy: "more memory for the machine or the container, or more gateways")
        },
        sysctl(
            "net.netfilter.nf_conntrack_max",
            """
            the firewall remembers each connection, and for a while those that ended; past it new \
            ones are dropped without a word, which looks like a network that fails
            """,
            // Without conntrack there is nothing to run out of.
            { $0.trackedConnections }, unseen: nil,
            atLeast: { UInt64($1.sockets) + UInt64($1.sockets) / 4 + 4_096 }),
        Grant(
            name: "kernel.io_uring_disabled",
            why: "with io_uring a tally costs about a sixth less CPU for each viewer"
        ) { machine, _ in
            if machine.allowsURing { return .fine("io_uring is allowed") }
            return machine.uringDisabled ?? 0 > 0
                ? .better(
                    "\(machine.uringDisabled ?? 0)", remedy: "sysctl -w kernel.io_uring_disabled=0")
                : .better(
                    "io_uring is refused to this process",
                    remedy: """
                        let the container's seccomp profile allow io_uring_setup and io_uring_enter
                        """)
        },
        Grant(
            name: "cores",
            why: """
                a tally to a viewer takes about 5 µs of a core; where all viewers are more than a \
                tick of that, the tick stretches: they see fewer steps, none of them late
                """
        ) { machine, crowd in
            let busy = max(1, min(machine.cores, crowd.loops))
            let sweep = UInt64(crowd.sockets) * 5_000 / UInt64(busy)
            let tick = max(1, crowd.tickNanoseconds)
            if sweep <= tick { return .fine("\(busy)") }
            let wanted = (UInt64(crowd.sockets) * 5_000 + tick - 1) / tick
            return .better(
                """
                \(busy); one poll watched by all moves every \(sweep / 1_000_000) ms, not every \
                \(tick / 1_000_000)
                """,
                remedy: "\(wanted) cores with a loop each, or more gateways, or be content")
        },
    ]

    private static func sysctl(
        _ name: String, _ why: String, _ value: @escaping @Sendable (Machine) -> UInt64?,
        unseen missing: Verdict? = .unseen,
        atLeast needed: @escaping @Sendable (Machine, Crowd) -> UInt64, isNeeded: Bool = true
    ) -> Grant {
        Grant(name: name, why: why) { machine, crowd in
            guard let value = value(machine) else { return missing }
            let needed = needed(machine, crowd)
            if value >= needed { return .fine("\(value); \(needed) are needed") }
            let found = "\(value), and \(needed) are needed"
            let remedy = "sysctl -w \(name)=\(needed)"
            return isNeeded ? .change(found, remedy: remedy) : .better(found, remedy: remedy)
        }
    }

    private static func mebibytes(_ bytes: UInt64) -> String { "\(bytes >> 20) MiB" }
}

extension Crowd {
    /// Connections that may wait for one loop: no more than it asks the kernel to keep.
    fileprivate var arrivals: Int { min(Loop.acceptQueueLength, max(128, sockets / max(1, loops))) }

    /// As measured (RESULTS.md): 336 bytes for an idle viewer, 14.6 KB under TLS, half of the 8 to 10 KB
    /// that both ends take in the kernel; and 64 MiB for everything else.
    fileprivate func memoryBytes(pageBytes: UInt64) -> UInt64 {
        let kept: UInt64 = endsTLS ? 15_000 : 336
        return 64 << 20 + UInt64(sockets) * (kept + 5_120 + pageBytes)
    }
}

extension Grant.Finding {
    var isChange: Bool {
        if case .change = verdict { true } else { false }
    }

    /// As `pollstream check` tells it: the verdict, and where there is something to do, what to type.
    var lines: [String] {
        switch verdict {
        case .fine(let found): ["fine    \(name): \(found)"]
        case .unseen: ["unseen  \(name): not to be seen from here, as in a container; ask its host"]
        case .better(let found, let remedy): advice("better", found, remedy)
        case .change(let found, let remedy): advice("change", found, remedy)
        }
    }

    private func advice(_ word: String, _ found: String, _ remedy: String) -> [String] {
        ["\(word)  \(name): \(found)", "        to do:  \(remedy)", "        why:    \(why)"]
    }
}

extension Configuration {
    func crowd(of sockets: Int) -> Crowd {
        Crowd(
            sockets: sockets, loops: loopCount, endsTLS: gateway.endsTLS,
            tickNanoseconds: loop.tickNanoseconds, connectionLimit: connectionLimit)
    }
}
