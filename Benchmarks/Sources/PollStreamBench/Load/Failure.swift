import CLoad

/// Why a scenario ended early.
enum Failure: Error, CustomStringConvertible {
    /// Ctrl-C: the report so far is written, marked as partial.
    case interrupted
    /// The load did not run as it should; the reason is a problem in the report.
    case load(String)
    /// A server could not be started or spoken to.
    case server(String)

    var description: String {
        switch self {
        case .interrupted: "interrupted"
        case .load(let reason), .server(let reason): reason
        }
    }

    /// Throws unless `result`, of a run of CLoad, is LD_OK.
    static func check(_ result: Int32, _ what: String, _ reason: UnsafePointer<CChar>?)
        throws(Failure)
    {
        switch Int(result) {
        case Int(LD_OK): return
        case Int(LD_INTERRUPTED): throw Failure.interrupted
        case Int(LD_TIMEOUT): throw Failure.load("\(what): timed out; \(text(reason))")
        default: throw Failure.load("\(what): \(text(reason))")
        }
    }

    private static func text(_ reason: UnsafePointer<CChar>?) -> String {
        let text = reason.map { String(cString: $0) } ?? ""
        return text.isEmpty ? "no reason given" : text
    }
}
