import CLibpq

/// Where to connect to: what libpq understands, looked over so that no piece of a password can end up
/// in a message.
struct PostgresTarget: Sendable {
    let conninfo: String
    /// One after another, each with its port; empty where there is at most one host, or the
    /// environment names them.
    let hosts: [(host: String, port: String)]
    /// Its `connect_timeout`, in milliseconds: polled for, libpq does not keep it itself.
    let connectLimit: Int64?

    /// Asks no server.
    /// - Throws: `.unusable`; its text repeats nothing of `conninfo`.
    init(_ conninfo: String) throws(StoreError) {
        guard let options = PQconninfoParse(conninfo, nil) else {
            throw .unusable(
                reason: "not a connection string; write it like postgres://USER@HOST/DATABASE")
        }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val {
                values[String(cString: keyword)] = String(cString: value)
            }
            option += 1
        }
        // A password with a slash or an at-sign that is not escaped is cut up by libpq, and its
        // pieces would be named as a port, a host or a database that cannot be used.
        let ports = Self.list(values["port"])
        let names = Self.list(values["host"])
        guard ports.allSatisfy({ $0.allSatisfy(\.isNumber) }),
            names.allSatisfy({ !$0.contains("@") || $0.hasPrefix("@") }),
            values["dbname"]?.contains("@") != true
        else {
            throw .unusable(
                reason:
                    "the connection string cannot be taken apart; in a URI write the password's "
                    + "/ as %2F, @ as %40, : as %3A")
        }
        self.conninfo = conninfo
        connectLimit = values["connect_timeout"].flatMap { Int64($0) }
            .flatMap { $0 > 0 ? min(max($0, 2), 600) * 1_000 : nil }
        hosts =
            names.count < 2 || values["hostaddr"] != nil
            ? []
            : names.enumerated().map { index, name in
                (name, ports.count == names.count ? ports[index] : ports.first ?? "")
            }
    }

    private static func list(_ text: String?) -> [String] {
        guard let text, !text.isEmpty else { return [] }
        return text.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
    }
}
