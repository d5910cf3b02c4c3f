import Catalogue
import Events
import Gateway
import Ledger
import Reactor
import Relay
import Telemetry

/// Everything `pollstream serve` was told, checked. The defaults are PROTOCOL's.
struct Configuration {
    var listen: [ListenAddress] = [ListenAddress(host: "127.0.0.1", port: 8080)]
    var operationsListen: ListenAddress? = ListenAddress(host: "127.0.0.1", port: 9090)
    var database = Database.sqlite(path: "pollstream.db")
    var migrates = true
    /// To PostgreSQL; each is a thread.
    var ledgerConnections = 1
    /// nil: everything is kept.
    var retainMilliseconds: Int?
    var loopCount = Host.coreCount
    var fanOut = FanOut.auto
    var drainMilliseconds = 30_000
    var drainDelayMilliseconds = 0
    var logLevel = Log.Level.info
    var logFormat = Log.Format.text
    var keys = KeySettings()
    /// nil: what RLIMIT_NOFILE leaves.
    var connectionLimit: Int?
    /// Of the buffers of all connections; nil: a share of the memory.
    var bufferBytes: Int?
    var ledger = LedgerSettings()
    var catalogue = CatalogueSettings()
    /// nil: no Redis.
    var relay: RelaySettings?
    /// nil: no broker.
    var events: EventSettings?
    var certificatePaths: [String] = []
    var certificateKeyPaths: [String] = []
    var loop = LoopSettings()
    var gateway = GatewaySettings()

    enum Database: Equatable, CustomStringConvertible {
        case sqlite(path: String)
        /// As libpq takes it: a URI, or keywords and values. May hold a password.
        case postgres(conninfo: String)

        /// Without secrets.
        var description: String {
            switch self {
            case .sqlite(let path): "sqlite:\(path)"
            case .postgres: "postgres"
            }
        }
    }

    enum Switch: String, CaseIterable { case allow, deny }
    enum Proxy: String, CaseIterable { case off, optional, required }
    enum OnOff: String, CaseIterable { case on, off }

    /// Reads the environment, then the command line over it.
    /// - Parameter arguments: values as typed, by the name of their setting.
    /// - Throws: every problem at once.
    init(arguments: [String: [String]], environment: (String) -> String?)
        throws(ConfigurationProblems)
    {
        // Who stands on this machine may be believed; nobody is asked until --proxy-protocol says so.
        loop.trustedProxies = ["127.0.0.0/8", "::1"].compactMap { Network($0) }
        var problems: [String] = []
        for setting in Setting.all {
            let typed = arguments[setting.name] ?? []
            let fromEnvironment = environment(setting.variable).map { value in
                setting.isRepeatable
                    ? value.split(separator: ",").map { String($0.drop { $0 == " " }) } : [value]
            }
            let source = typed.isEmpty ? setting.variable : "--\(setting.name)"
            let values = typed.isEmpty ? fromEnvironment ?? [] : typed
            if values.isEmpty { continue }
            do {
                try setting.apply(&self, values)
            } catch {
                problems.append("\(source): \(error.reason)")
            }
        }
        do {
            try readCertificates()
        } catch {
            problems += error.problems
        }
        guard problems.isEmpty else { throw ConfigurationProblems(problems: problems) }
        gateway.subscriptionCount = Int(loop.subscriptionCount)
        gateway.outboxBytes = loop.outboxBytes
        if keys.jwtFiles.isEmpty, keys.issuer != nil || keys.audience != nil {
            throw ConfigurationProblems(
                problems: ["--jwt-issuer, --jwt-audience: check nothing without --jwt-key"])
        }
        if keys.jwtFiles.isEmpty, !gateway.acceptsVoterCookies, !gateway.acceptsVoterNames {
            throw ConfigurationProblems(
                problems: [
                    """
                    --voter-cookies, --voter-names: without both nobody can vote; give --jwt-key, \
                    or allow one of them
                    """
                ])
        }
        let whole = 2 * (Int(loop.headBytes) + max(Int(loop.bodyBytes), Int(loop.messageBytes)))
        if let bufferBytes, bufferBytes * 3 / 4 < whole {
            throw ConfigurationProblems(
                problems: [
                    """
                    --limit: buffer-bytes=\(Value.written(bytes: bufferBytes)) has no room for one \
                    body or message; give \((whole * 4 / 3) >> 20 + 1)MiB, or smaller body-bytes and \
                    message-bytes
                    """
                ])
        }
        if relay != nil, case .sqlite = database {
            throw ConfigurationProblems(
                problems: [
                    "--redis: joins gateways on one PostgreSQL; give --database postgres://…"
                ])
        }
        // Only PostgreSQL lets others in.
        if case .postgres = database { gateway.sharesStore = true }
    }
}

extension Configuration {
    private mutating func readCertificates() throws(ConfigurationProblems) {
        guard certificatePaths.count == certificateKeyPaths.count else {
            throw ConfigurationProblems(
                problems: [
                    """
                    --tls-certificate: given \(certificatePaths.count) times, and --tls-key \
                    \(certificateKeyPaths.count) times; give a key for each, in the same order
                    """
                ])
        }
        gateway.endsTLS = !certificatePaths.isEmpty
        guard gateway.endsTLS else {
            guard gateway.strictTransportSeconds == nil else {
                throw ConfigurationProblems(
                    problems: ["--hsts: is for TLS that ends here; give --tls-certificate"])
            }
            return
        }
        do {
            loop.tls = try TLSContext(
                zip(certificatePaths, certificateKeyPaths).map {
                    CertificateFiles(certificatePath: $0, keyPath: $1)
                })
        } catch {
            throw ConfigurationProblems(
                problems: error.descriptions.map { "--tls-certificate: \($0)" })
        }
    }
}

extension Configuration {
    /// Connections the process takes: what was asked for, else what descriptors leave after those
    /// for the database, the log, the loops with the connections they turn away, and a reserve.
    ///
    /// - Parameter watches: descriptors that may be waited for; past them libuv ends the process.
    func connectionLimit(descriptors: UInt64, watches: UInt64? = nil) -> Int {
        let reserved = Configuration.descriptorReserve(loops: loopCount)
        let granted = min(descriptors, watches ?? .max)
        let possible = max(1, Int(clamping: granted) - reserved)
        return min(connectionLimit ?? possible, possible)
    }

    /// Bytes that the buffers of all connections may hold: what was asked for, else a quarter of the memory.
    /// The rest is for what else there is: sockets in the kernel, waiting ballots, pages under way, SQLite,
    /// and what an allocator loses between buffers.
    func bufferLimit(memoryBytes: UInt64) -> UInt64 {
        bufferBytes.map(UInt64.init) ?? max(1 << 20, memoryBytes / 4)
    }

    static func descriptorReserve(loops: Int) -> Int { 64 + 80 * loops }
}

/// What is wrong with a configuration, a line each.
struct ConfigurationProblems: Error, Equatable {
    let problems: [String]
}
