package import Polls

/// A binary COPY into a table with the columns of `pollstream.ballots`, and nothing else: the limit
/// that the ledger's path is measured against.
package final class BareCopy {
    private let connection: PostgresConnection
    private let sql: String
    private var encoder = CopyEncoder()

    /// - Throws: where there is no connection within 5 s.
    package init(conninfo: String, table: String) throws(StoreError) {
        do throws(PostgresFailure) {
            connection = try PostgresConnection(
                conninfo: conninfo, deadline: postgresDeadline(in: 5_000))
        } catch { throw error.storeError(mayBeStored: false) }
        sql = "COPY \(table) (\(CopyEncoder.columns)) FROM STDIN (FORMAT binary)"
    }

    /// Commits `ballots`, whose keys ascend.
    /// - Throws: `.unavailable` when nothing was stored, `.commitUnknown` when that is not certain.
    package func store(_ ballots: [Ballot]) throws(StoreError) {
        encoder.begin()
        for ballot in ballots { encoder.append(ballot) }
        encoder.end()
        var isSending = false
        do throws(PostgresFailure) {
            _ = try connection.copy(
                sql, encoder.bytes, until: postgresDeadline(in: 60_000), isSending: &isSending)
        } catch { throw error.storeError(mayBeStored: isSending) }
    }
}
