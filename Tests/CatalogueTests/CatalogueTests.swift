import Polls
import Telemetry
import Testing
import Threads

@testable import Catalogue

@Suite struct CatalogueTests {
    @Test func `a poll is created with a key that is shown and a hash that is stored`() throws {
        let office = Office()
        office.catalogue.start()
        guard case .created(let record, let hostKey) = office.ask(.create(try draft())) else {
            Issue.record("not created")
            return
        }
        #expect(hostKey == "psh_key")
        #expect(record.hostKeyHash == [1, 2, 3])
        #expect(record.poll.joinCode == "CODE1")
        #expect(office.heard.story == ["created", "answer"])
        #expect(office.drain())
    }

    @Test func `a join code that is taken is replaced by another`() throws {
        let office = Office(joinCodes: ["AAAA", "AAAA", "AAAA", "BBBB"])
        office.catalogue.start()
        #expect(office.ask(.create(try draft())).record?.poll.joinCode == "AAAA")
        #expect(office.ask(.create(try draft())).record?.poll.joinCode == "BBBB")
        #expect(office.drain())
    }

    @Test func `when join codes run out the catalogue refuses and goes on`() throws {
        let office = Office(joinCodes: Array(repeating: "AAAA", count: 9))
        office.catalogue.start()
        #expect(office.ask(.create(try draft())).record != nil)
        #expect(office.ask(.create(try draft())).refusal == .overloaded)
        #expect(office.ask(.create(try draft())).record?.poll.joinCode == "CODE1")
        #expect(office.drain())
    }

    @Test func `each change is announced before its answer, and only when there is one`() throws {
        let office = Office(transitionCheck: .seconds(60))
        office.catalogue.start()
        let id = try #require(office.ask(.create(try draft(startsAt: 1_000))).record?.poll.id)
        let change = try PollChange(
            title: "Dinner", description: nil, results: nil, endTime: nil, options: nil, now: 0)
        #expect(office.ask(.change(id, change)).record?.poll.title == "Dinner")
        #expect(office.ask(.open(id)).record?.poll.state == .open)
        #expect(office.ask(.open(id)).record?.poll.state == .open)
        #expect(office.ask(.close(id)).record?.poll.state == .closed)
        #expect(office.ask(.close(id)).record?.poll.state == .closed)
        #expect(office.ask(.open(id)).refusal == .pollClosed)
        guard case .deleted = office.ask(.delete(id)) else {
            Issue.record("not deleted")
            return
        }
        #expect(office.ask(.delete(id)).refusal == .pollNotFound)
        #expect(
            office.heard.story == [
                "created", "answer", "edited", "answer", "opened", "answer", "answer", "closed",
                "answer", "answer", "answer", "deleted at 5", "answer", "answer",
            ])
        #expect(office.drain())
    }

    @Test func `questions are answered`() throws {
        let office = Office()
        office.catalogue.start()
        let poll = try #require(office.ask(.create(try draft())).record?.poll)
        #expect(office.ask(.find(joinCode: "CODE1")).record?.poll.id == poll.id)
        #expect(office.ask(.find(joinCode: "NONE")).refusal == .pollNotFound)
        guard case .page(let page) = office.ask(.list(.all, page: 1, pageSize: 10)),
            case .ballot(true) = office.ask(
                .hasBallot(BallotKey(poll: poll.id, voter: VoterKey(high: 0, low: 1)))),
            case .polls(let records) = office.ask(.read([PollID(99)!, poll.id, poll.id]))
        else {
            Issue.record("another answer")
            return
        }
        #expect(page.polls == [poll] && page.count == 1)
        #expect(records.map { $0?.poll.id } == [nil, poll.id, poll.id])
        #expect(office.drain())
    }

    @Test func `reads that wait together are one read, and each gets its own polls`() throws {
        let office = Office(transitionCheck: .seconds(60))
        office.catalogue.start()
        let ids = try (0..<3).map { _ in
            try #require(office.ask(.create(try draft())).record?.poll.id)
        }
        office.store.block()
        let first = try #require(office.begin(.find(joinCode: "CODE1")))
        office.store.waitUntilBlocked()
        let asked = [[ids[0], ids[1]], [ids[1]], [PollID(99)!, ids[2]], []]
        let numbers = try asked.map { try #require(office.begin(.read($0))) }
        let change = try #require(office.begin(.close(ids[0])))
        let last = try #require(office.begin(.read([ids[0]])))
        office.store.unblock()
        for (ids, number) in zip(asked, numbers) {
            guard case .polls(let records) = office.heard.answer(to: number) else {
                Issue.record("another answer")
                continue
            }
            #expect(records.map { $0?.poll.id } == ids.map { $0.rawValue == 99 ? nil : $0 })
            #expect(records.allSatisfy { $0?.poll.state != .closed })
        }
        #expect(office.heard.answer(to: first).record != nil)
        #expect(office.heard.answer(to: change).record?.poll.state == .closed)
        // Asked after the close, answered from after the close.
        guard case .polls(let records) = office.heard.answer(to: last) else {
            Issue.record("another answer")
            return
        }
        #expect(records[0]?.poll.state == .closed)
        #expect(office.store.readCalls.map(\.count) == [4, 1])
        #expect(office.drain())
    }

    @Test func `a full queue refuses and what was taken is answered`() throws {
        let office = Office(waitingRequests: 2, transitionCheck: .seconds(60))
        office.catalogue.start()
        office.store.block()
        let first = try #require(office.begin(.find(joinCode: "A")))
        office.store.waitUntilBlocked()
        let waiting = [office.begin(.find(joinCode: "B")), office.begin(.find(joinCode: "C"))]
        let numbers = waiting.compactMap { $0 }
        // The blocked call may be the timetable's, with `first` still waiting.
        #expect(numbers.count >= 1)
        #expect(office.begin(.find(joinCode: "D")) == nil)
        office.store.unblock()
        for number in [first] + numbers {
            #expect(office.heard.answer(to: number).refusal == .pollNotFound)
        }
        #expect(office.drain())
    }

    @Test func `questions leave room for changes, and for the poll that a ballot is for`() throws {
        let office = Office(waitingRequests: 8, transitionCheck: .seconds(60))
        office.catalogue.start()
        office.store.block()
        let first = try #require(office.begin(.find(joinCode: "A")))
        office.store.waitUntilBlocked()
        var numbers = [first]
        while let number = office.begin(.find(joinCode: "B")) { numbers.append(number) }
        #expect(numbers.count <= 1 + 4 + 1)
        for _ in 0..<3 {
            numbers.append(try #require(office.begin(.read([PollID(7)!]))))
        }
        office.store.unblock()
        for number in numbers { _ = office.heard.answer(to: number) }
        #expect(office.drain())
    }

    @Test func `a request that waited too long is refused without the store`() throws {
        let office = Office(requestLimit: .zero)
        office.catalogue.start()
        #expect(office.ask(.create(try draft())).refusal == .overloaded)
        #expect(office.heard.story == ["answer"])
        #expect(office.drain())
    }

    @Test func `without storage every request is refused, and the catalogue comes back`() throws {
        let office = Office()
        office.catalogue.start()
        office.store.setDown(true)
        #expect(office.ask(.create(try draft())).refusal == .storageUnavailable)
        #expect(office.ask(.read([PollID(1)!])).refusal == .storageUnavailable)
        #expect(!office.catalogue.isHealthy)
        office.store.setDown(false)
        // By itself: the timetable keeps asking.
        while !office.catalogue.isHealthy { pause() }
        #expect(office.ask(.create(try draft())).record != nil)
        #expect(office.drain())
    }

    @Test func `a drain answers what waits, and takes no more`() throws {
        let office = Office()
        office.store.block()
        office.catalogue.start()
        let number = try #require(office.begin(.create(try draft())))
        #expect(!office.catalogue.drain(until: Clock.monotonicNanoseconds()))
        #expect(office.begin(.create(try draft())) == nil)
        office.store.unblock()
        #expect(office.drain())
        #expect(office.heard.answer(to: number).record != nil)
    }

    @Test func `what was answered is shown`() throws {
        let office = Office()
        office.catalogue.start()
        _ = office.ask(.create(try draft()))
        _ = office.ask(.audit(PollID(1)!))
        #expect(office.drain())
        #expect(office.begin(.read([])) == nil)
        var text = MetricsText()
        office.catalogue.write(to: &text)
        let lines = Set(String(decoding: text.bytes, as: UTF8.self).split(separator: "\n"))
        #expect(lines.contains("pollstream_catalogue_requests_total{request=\"create\"} 1"))
        #expect(lines.contains("pollstream_catalogue_requests_total{request=\"audit\"} 1"))
        #expect(lines.contains("pollstream_catalogue_refused_requests_total 1"))
        #expect(lines.contains("pollstream_catalogue_request_seconds_count 2"))
        #expect(lines.contains("pollstream_catalogue_waiting_requests{queue=\"polls\"} 0"))
    }
}

@Suite struct TimetableTests {
    @Test func `a poll opens and closes on time, without anybody asking`() throws {
        let office = Office()
        office.catalogue.start()
        let id = try #require(
            office.ask(.create(try draft(startsAt: 1_000, endTime: 2_000))).record?.poll.id)
        office.store.setTime(1_000)
        let opened = office.heard.changes(1)[0]
        #expect(opened.record.poll.id == id && opened.transition == .opened)
        #expect(opened.record.poll.state == .open)
        office.store.setTime(2_000)
        let closed = office.heard.changes(2)[1]
        #expect(closed.transition == .closed)
        #expect(closed.record.poll.state == .closed)
        #expect(closed.record.poll.tally.revision > opened.record.poll.tally.revision)
        #expect(office.drain())
    }

    @Test func `a new poll's time is known at once, not at the next check`() throws {
        let office = Office(transitionCheck: .seconds(3_600))
        office.store.setTime(10)
        office.catalogue.start()
        // It is due when it is created.
        _ = office.ask(.create(try draft(startsAt: 5)))
        #expect(office.heard.changes(1)[0].transition == .opened)
        #expect(office.drain())
    }

    @Test func `more than one turn of polls all close, each once`() throws {
        let office = Office()
        office.catalogue.start()
        for _ in 0..<150 { _ = office.ask(.create(try draft(endTime: 1_000))) }
        office.store.setTime(1_000)
        let changes = office.heard.changes(150)
        #expect(Set(changes.map(\.record.poll.id)).count == 150)
        #expect(office.drain())
        #expect(office.heard.changes(150).count == 150)
    }

    @Test func `a transition that failed is made when storage is back`() throws {
        let office = Office()
        office.catalogue.start()
        _ = office.ask(.create(try draft(endTime: 1_000)))
        office.store.setDown(true)
        office.store.setTime(1_000)
        while office.catalogue.isHealthy { pause() }
        office.store.setDown(false)
        #expect(office.heard.changes(1)[0].transition == .closed)
        #expect(office.drain())
    }
}

@Suite struct ExportTests {
    @Test func `an audit and a page are answered by a store of their own`() throws {
        let office = Office()
        office.catalogue.start()
        #expect(office.ask(.audit(PollID(1)!)).refusal == .pollNotFound)
        guard case .ballots(let page) = office.ask(.ballots(PollID(1)!, after: nil, limit: 3))
        else {
            Issue.record("another answer")
            return
        }
        #expect(page.count == 3)
        #expect(office.drain())
    }

    @Test func `two exports at once hold up no poll, and the queue behind them is bounded`() throws
    {
        let office = Office(waitingExports: 2)
        office.exports.forEach { $0.block() }
        office.catalogue.start()
        let page = CatalogueRequest.ballots(PollID(1)!, after: nil, limit: 1)
        let running = [office.begin(page), office.begin(page)].compactMap { $0 }
        office.exports.forEach { $0.waitUntilBlocked() }
        let waiting = [office.begin(page), office.begin(page)].compactMap { $0 }
        #expect(running.count == 2 && waiting.count == 2)
        #expect(office.begin(page) == nil)
        #expect(office.ask(.create(try draft())).record != nil)
        office.exports.forEach { $0.unblock() }
        for number in running + waiting {
            guard case .ballots = office.heard.answer(to: number) else {
                Issue.record("another answer")
                return
            }
        }
        #expect(office.drain())
    }
}

private func pause() { Thread.sleep(until: Clock.monotonicNanoseconds() + 1_000_000) }
