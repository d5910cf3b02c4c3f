import Polls

/// What voters are told, held against what is stored.
extension Voter {
    /// What is said to be counted is in the database.
    func check(_ request: Request, _ said: Said) {
        guard let life = site.witness.lives[request.poll], let stored = life.ballots[key] else {
            return world.violate("voter \(number): \(request.label) is counted and not stored")
        }
        let poll = life.latest
        if !poll.allowsChange {
            world.expect(
                stored.last?.choices.mask == request.mask,
                "voter \(number): another choice than \(request.label) is stored")
            world.expect(said.status == "counted", "voter \(number): changed a fixed ballot")
            world.expect(
                said.isRepeated || stored.last?.label == request.label,
                "voter \(number): \(request.label) is counted and \(stored.last!.label) stored")
        }
        // Where counts are hidden from voters, nor are ballots counted by revisions.
        let isShown =
            life.history[said.revision].map { site.maySee($0, of: life, as: .voter) } ?? false
        world.expect(
            isShown && said.revision >= stored[0].revision
                || life.history.values.contains { $0.shownRevision == said.revision },
            "voter \(number): \(request.label) is counted at \(said.revision)")
    }

    func checkRefusal(_ request: Request, _ code: String) {
        let life = site.witness.lives[request.poll]
        let isThere = life != nil && life?.deletedAt == nil
        switch code {
        case "already_voted":
            world.expect(
                life?.ballots[key]?.contains { $0.choices.mask != request.mask } ?? false,
                "voter \(number): \(request.label) is refused for a ballot that is not there")
        case "poll_closed":
            world.expect(
                !isThere || life?.latest.closedAt != nil || site.isPastEnd(life!.latest),
                "voter \(number): refused by an open poll")
        case "poll_not_found":
            world.expect(
                site.mayBeUnknown(request.poll), "voter \(number): its poll is said to be unknown")
        case "poll_not_open", "option_not_found", "overloaded", "storage_unavailable": break
        default: world.violate("voter \(number): refused with \(code)")
        }
    }

    // MARK: At the end

    /// - Parameter time: by then what was asked must have been answered.
    func expectFates(askedBefore time: Int64) {
        for request in requests where request.fate == .pending && request.sentAt < time {
            world.violate("voter \(number): \(request.label) was never answered")
        }
        guard let life = site.witness.lives[poll.id] else { return }
        for request in requests {
            guard case .refused = request.fate else { continue }
            // What went with its poll is not stored any more, as it was told.
            if let deletedAt = life.deletedAt, request.answeredAt ?? 0 >= deletedAt { continue }
            world.expect(
                !life.labels.contains(request.label),
                "voter \(number): \(request.label) was refused and is stored")
        }
        guard life.deletedAt == nil, let last = requests.last(where: { $0.fate == .counted })
        else { return }
        // The last word that was heard stands, unless one that was not heard comes behind it.
        let open = requests.filter { request in
            switch request.fate {
            case .pending, .unknown: true
            case .toldUnknown: request.answeredAt ?? .max >= last.sentAt
            case .counted:
                // Two at once on one socket: either may be the later one.
                request.label != last.label && request.answeredAt ?? .max > last.sentAt
            case .refused: false
            }
        }
        let masks = Set([last.mask] + open.map(\.mask))
        let stored = life.ballots[key]?.last?.choices.mask
        world.expect(
            stored.map(masks.contains) ?? false,
            "voter \(number): \(last.label) was counted with mask \(last.mask), "
                + "\(stored.map { "\($0)" } ?? "nothing") is stored")
    }
}
