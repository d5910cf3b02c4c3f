/// Bounds of a PostgresStore. Milliseconds.
package struct PostgresSettings: Sendable {
    /// From the first packet to a server that is ready for a query.
    package var connectLimit: Int64 = 3_000
    /// For one attempt to commit a batch of ballots; beyond it the connection is given up, and the
    /// batch settled again on another. Voters may be answered earlier.
    package var commitLimit: Int64 = 5_000
    /// For a question of the catalogue.
    package var requestLimit: Int64 = 5_000
    /// For an audit or a page of an export.
    package var exportLimit: Int64 = 60_000
    /// A transaction waits for a row that another has locked.
    package var lockLimit: Int64 = 800
    /// A gateway of ours that holds a transaction open without a word is cut off.
    package var silenceLimit: Int64 = 2_000
    /// Batches of fewer ballots are merged row by row: COPY costs more there.
    package var copyBorder = 32
    /// Ballots deleted in one transaction.
    package var deleteSlice: Int64 = 5_000

    package init() {}

    /// Begins a transaction that neither waits long nor keeps others waiting.
    var begin: String {
        """
        BEGIN; SET LOCAL lock_timeout = \(lockLimit);
        SET LOCAL idle_in_transaction_session_timeout = \(silenceLimit)
        """
    }
}
