import Glibc
import Polls
import Store

/// A gateway's ledger without the gateway, for tests that kill it. Settles batches in the database
/// named by its first argument, for the poll and from the voter that follow, and prints the number
/// of the last voter of each batch once it is settled, until somebody kills it.
@main
struct StoreChild {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let poll = Int64(arguments[2]).flatMap(PollID.init),
            var voter = UInt64(arguments[3])
        else { fatalError("usage: StoreChild DATABASE POLL FIRST-VOTER") }
        let store = try SQLiteStore(path: arguments[1])
        while true {
            let batch = (voter..<voter + voter % 97 + 1).map { voter in
                Ballot(
                    key: BallotKey(poll: poll, voter: VoterKey(high: 0, low: voter)),
                    pollID: poll, id: Int64(voter), choices: Choices(mask: 1 << (voter & 1)),
                    edition: 0, allowsChange: false, voter: String(voter), castAt: 1, ticket: nil)
            }
            let settlement = try store.settle(batch)
            guard settlement.outcomes.allSatisfy(\.isStored) else { fatalError("refused") }
            voter += UInt64(batch.count)
            let line = "\(voter - 1)\n"
            guard write(STDOUT_FILENO, line, line.utf8.count) == line.utf8.count else { return }
        }
    }
}
