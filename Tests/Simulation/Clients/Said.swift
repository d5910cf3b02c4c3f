import JSON
import Polls

/// What a gateway says of a poll, in whichever form.
struct Said {
    var type = ""
    var reference = ""
    var code = ""
    var status = ""
    var isRepeated = false
    var poll: PollID?
    var revision: Int64 = -1
    var state = ""
    var title = ""
    var optionIDs: [Int64] = []
    var hostKey = ""
    /// nil where they are hidden, or not part of it.
    var total: Int64?
    var counts: [Int64]?

    private static nonisolated(unsafe) let document = JSONDocument()

    /// - Returns: nil for what is not JSON, or not as the protocol has it.
    init?(_ bytes: [UInt8]) {
        let said = bytes.withUnsafeBytes { bytes -> Said? in
            guard let root = try? Self.document.parse(bytes) else { return nil }
            return try? Said(root)
        }
        guard let said else { return nil }
        self = said
    }

    private init(_ root: JSONValue) throws {
        type = try root["type"].ifPresent?.string ?? ""
        reference = try root["ref"].ifPresent?.string ?? ""
        status = try root["status"].ifPresent?.string ?? ""
        isRepeated = try root["repeated"].ifPresent?.bool ?? false
        hostKey = try root["host_key"].ifPresent?.string ?? ""
        code = try (root["error"].ifPresent?["code"] ?? root["code"]).ifPresent?.string ?? ""
        switch type {
        case "snapshot": try takePoll(root["poll"])
        case "tally":
            try takeHead(root)
            total = try root["total"].int64
            counts = try root["counts"].elements.map { try $0.int64 }
        case "", "ack", "state", "error":
            if root["options"].ifPresent != nil {
                try takePoll(root)
            } else {
                try takeHead(root)
            }
        default: break
        }
    }

    private mutating func takeHead(_ root: JSONValue) throws {
        poll = try root["poll_id"].ifPresent.flatMap { PollID(try $0.int64) }
        revision = try root["revision"].ifPresent?.int64 ?? -1
        state = try root["state"].ifPresent?.string ?? ""
    }

    private mutating func takePoll(_ root: JSONValue) throws {
        poll = PollID(try root["id"].int64)
        revision = try root["revision"].int64
        state = try root["state"].string
        title = try root["title"].string
        total = try root["total_votes"].ifPresent?.int64
        var counts: [Int64] = []
        for option in try root["options"].elements {
            optionIDs.append(try option["id"].int64)
            if let count = option["vote_count"].ifPresent { counts.append(try count.int64) }
        }
        if total != nil { self.counts = counts }
    }
}
