import ArgumentParser
import CLoad
import Glibc

/// One invocation: its servers, where they run, and its report.
final class Session {
    let shared: SharedOptions
    let progress: Progress
    var report: Report

    private let serverCore: Core
    private let clientCore: Core
    private let isSharingCore: Bool

    /// Bytes on the wire, headers included: what the limit server has to match.
    struct FrameSizes {
        var tally: Int
        var snapshot: Int
    }

    /// Runs a scenario and reports, however it ends.
    ///
    /// `isSharingCore`: unless told otherwise, server and client share the last core, and the
    /// gateway has one loop: that is how CPU is compared with a server of one thread. Else both
    /// run where they like.
    static func run(
        _ scenario: String, _ shared: SharedOptions, isSharingCore: Bool,
        body: (Session) throws -> Void
    ) throws {
        ld_catch_interrupt()
        let session = try Session(scenario, shared, isSharingCore: isSharingCore)
        do {
            try body(session)
        } catch Failure.interrupted {
            session.report.wasInterrupted = true
        } catch let failure as Failure {
            session.report.problems.append("\(failure)")
        }
        session.progress.clear()
        print(session.report.text, terminator: "")
        if let path = shared.json {
            try session.report.writeJSON(to: path)
        }
        if let path = shared.html {
            try session.report.writeHTML(to: path)
        }
        if session.report.wasInterrupted { throw ExitCode(130) }
        if !session.report.problems.isEmpty { throw ExitCode(1) }
    }

    private init(_ scenario: String, _ shared: SharedOptions, isSharingCore: Bool) throws {
        self.shared = shared
        self.isSharingCore = isSharingCore
        let last = Core.number(Int32(sysconf(Int32(_SC_NPROCESSORS_ONLN))) - 1)
        serverCore = shared.serverCpu ?? (isSharingCore ? last : .any)
        clientCore = shared.clientCpu ?? (isSharingCore ? last : .any)
        progress = Progress(isForced: shared.progress)
        let place = shared.target == nil ? "server on \(serverCore)" : "server where it was"
        report = Report(scenario: scenario, placement: "\(place), client on \(clientCore)")
        if shared.target != nil && shared.serverPid == nil {
            report.notes.append(
                "Without --server-pid the server's CPU and memory are not measured.")
        }
        try pin(to: clientCore)
    }

    // MARK: servers

    /// The target, or a gateway of our own. `arguments` come before those of --server-option.
    func startGateway(database: String? = nil, _ arguments: [String] = []) throws -> Server {
        if let target = shared.target {
            return Server(running: target, processID: shared.serverPid)
        }
        let loops = shared.loops ?? (isSharingCore ? 1 : nil)
        return try start(.gateway, shared.binary ?? Repository.gateway) { folder in
            let database = database ?? self.shared.database ?? "sqlite:\(folder)/db"
            return ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]
                + ["--database", database] + (loops.map { ["--loops", "\($0)"] } ?? [])
                + arguments + self.shared.serverOption
        }
    }

    func startLimit(_ sizes: FrameSizes, _ limit: ComparisonOptions.Limit = .limit) throws
        -> Server
    {
        try start(.sendLimit, Repository.sendLimit) { _ in
            ["--frame-bytes", "\(sizes.tally)", "--snapshot-bytes", "\(sizes.snapshot)"]
                + (limit == .uring ? ["--uring"] : [])
        }
    }

    private func start(
        _ kind: ServerKind, _ binary: String, _ arguments: (String) -> [String]
    ) throws -> Server {
        progress.show("starting the \(kind.rawValue)")
        // A child inherits the core of the thread that starts it.
        try pin(to: serverCore)
        defer { try? pin(to: clientCore) }
        return try Server(starting: kind, binary: binary, arguments: arguments)
    }

    func stop(_ server: Server) {
        if let problem = server.stop() {
            report.problems.append(problem)
        }
    }

    private func pin(to core: Core) throws {
        guard ld_pin(core.index) == 0 else { throw ValidationError("there is no \(core) here") }
    }

    // MARK: runs

    /// Measures the gateway once or, with --against, next to the limit as often as asked; each run
    /// with a fresh server. The pairs alternate in who begins, so that a drift of the machine
    /// falls on both.
    func measure(
        _ options: ComparisonOptions, gatewayArguments: [String] = [], peers: [Peer] = [],
        _ body: (Server) throws -> (Run, FrameSizes),
        peer measurePeer: ((Server, Peer, FrameSizes) throws -> Run)? = nil
    ) throws {
        var sizes = FrameSizes(tally: options.frameBytes, snapshot: options.snapshotBytes)
        func gateway() throws {
            let server = try startGateway(gatewayArguments)
            sizes = try measureOnce(server, body)
        }
        func limit() throws {
            _ = try measureOnce(startLimit(sizes.representable, options.against ?? .limit), body)
        }
        for pair in 0..<options.runCount {
            if shared.server == .sendLimit {
                try limit()
            } else if options.against == nil {
                try gateway()
            } else if pair % 2 == 0 {
                try gateway()
                try limit()
            } else {
                try limit()
                try gateway()
            }
            for peer in peers {
                if let measurePeer { try measure(peer) { try measurePeer($0, peer, sizes) } }
            }
        }
    }

    /// Measures another's server, started for it unless it is --target.
    func measure(_ peer: Peer, _ body: (Server) throws -> Run) throws {
        let server: Server
        if let command = peer.start {
            progress.show("starting \(peer.name)")
            try pin(to: serverCore)
            defer { try? pin(to: clientCore) }
            server = try Server(starting: peer, command)
        } else {
            server = try startGateway()
        }
        defer { stop(server) }
        report.add(try body(server))
        if ld_interrupted() { throw Failure.interrupted }
    }

    private func measureOnce(_ server: Server, _ body: (Server) throws -> (Run, FrameSizes)) throws
        -> FrameSizes
    {
        defer { stop(server) }
        let (run, sizes) = try body(server)
        report.add(run)
        if ld_interrupted() { throw Failure.interrupted }
        return sizes
    }

    /// Refuses what this process has no descriptors for, before anything is started.
    static func checkDescriptors(for sockets: Int) throws {
        let limit = min(Int(clamping: ld_raise_descriptor_limit()), 20_000)
        let needed = sockets + 32
        guard needed <= limit else {
            throw ValidationError(
                """
                \(sockets) sockets need \(needed) descriptors, and one client process has at most \
                \(limit) here. Ask for \(limit - 32) or fewer, or run several clients against one \
                --target.
                """)
        }
    }
}

extension Session.FrameSizes {
    /// What the limit server can send: its smallest tally has 80 bytes, and no frame has 128 or 129
    /// (the header grows by two bytes where the payload passes 125).
    var representable: Self {
        func round(_ bytes: Int) -> Int {
            (128...129).contains(bytes) ? 130 : max(bytes, 80)
        }
        return Self(tally: round(tally), snapshot: round(snapshot))
    }
}
