/// Why PostgreSQL did not do what it was asked. Inside PostgresStore only, which turns it into a
/// StoreError where it knows whether anything can have been stored.
enum PostgresFailure: Error {
    /// The server said no and goes on; its transaction is rolled back.
    case refused(sqlState: String, message: String, detail: String)
    /// The connection is of no further use; what the server made of the last message is not known.
    case lost(reason: String)
    /// A rule said no; the database is well.
    case rejected(StoreError)

    var sqlState: String? {
        if case .refused(let sqlState, _, _) = self { sqlState } else { nil }
    }

    /// As a person should read it in the log. The detail stays out: it may quote a voter's row.
    var reason: String {
        switch self {
        case .refused(let sqlState, let message, _): "\(message) (\(sqlState))"
        case .lost(let reason): reason
        case .rejected(let error): "\(error)"
        }
    }

    /// - Parameter mayBeStored: the last message could have committed something.
    func storeError(mayBeStored: Bool) -> StoreError {
        switch self {
        case .rejected(let error): error
        case .refused: .unavailable(reason: reason)
        case .lost: mayBeStored ? .commitUnknown(reason: reason) : .unavailable(reason: reason)
        }
    }

    static func damaged(_ what: String) -> PostgresFailure {
        .refused(
            sqlState: "XX001", message: "\(what) cannot be read: the database is damaged",
            detail: "")
    }
}

/// PostgreSQL's error codes that mean something to us (PostgreSQL 15, appendix A), and our own.
enum SQLState {
    static let uniqueViolation = "23505"
    static let lockNotAvailable = "55P03"
    static let serializationFailure = "40001"
    static let deadlockDetected = "40P01"
    static let insufficientPrivilege = "42501"
    static let readOnlyTransaction = "25006"
    /// Raised by `pollstream.settle_one`: the detail names the poll and the reason.
    static let pollRefused = "PS001"
}
