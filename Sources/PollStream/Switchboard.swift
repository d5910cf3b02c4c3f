import Gateway
import Polls
import Reactor
import Relay

/// Where what happened in the rooms behind goes: to the loop that asked, or to all of them.
final class Switchboard: @unchecked Sendable {
    // Set once, before the first thread that reads it starts.
    private var inboxes: [Inbox<LoopMessage>] = []

    func connect(_ inboxes: [Inbox<LoopMessage>]) { self.inboxes = inboxes }

    /// Gives outcomes back to the loops whose tickets they carry.
    func deliver(_ settled: [SettledBallot]) {
        var byLoop = [[SettledBallot]](repeating: [], count: inboxes.count)
        for ballot in settled {
            guard let ticket = ballot.ticket else { continue }
            byLoop[Int(ticket.loop)].append(ballot)
        }
        for (inbox, ballots) in zip(inboxes, byLoop) where !ballots.isEmpty {
            inbox.append(.settled(ballots))
        }
    }

    func deliver(_ reply: CatalogueReply) {
        inboxes[Int(reply.ticket.loop)].append(.answered(reply))
    }

    func announce(_ event: PollEvent) { tellAll(.happened(event)) }

    func announce(_ news: RelayNews) {
        if news.tallies.isEmpty && news.changed.isEmpty { return }
        tellAll(.heard(tallies: Array(news.tallies.values), changed: Array(news.changed)))
    }

    func tellAll(_ message: LoopMessage) {
        for inbox in inboxes { inbox.append(message) }
    }

    func tellOthers(_ message: LoopMessage, from index: UInt32) {
        for (other, inbox) in inboxes.enumerated() where other != Int(index) {
            inbox.append(message)
        }
    }
}
