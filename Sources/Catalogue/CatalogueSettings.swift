/// What the catalogue needs to know; PROTOCOL's defaults.
package struct CatalogueSettings: Sendable {
    /// Requests that may wait; of questions that anybody can ask over and over, half as many.
    package var waitingRequests = 8_192
    /// Pages of exports, and audits, that may wait: one of each that the gateway lets run at once.
    package var waitingExports = 128
    /// A request that has waited so long is refused: whoever asked has gone, or soon will.
    package var requestLimit = Duration.seconds(5)
    /// The database is asked at least this often when the next poll opens or closes: its clock may be
    /// set, and another gateway that knew may be gone.
    package var transitionCheck = Duration.seconds(1)

    package init() {}
}
