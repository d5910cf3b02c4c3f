import Polls
import Reactor
import Testing

@testable import Gateway

struct RouteCSVTests {
    private func slot(_ poll: Int64, _ address: UInt64) -> ExportSlots.Slot {
        ExportSlots.Slot(
            poll: PollID(poll)!, address: ClientAddress(PeerAddress(high: address, low: 0)))
    }

    private func row(_ write: (inout CSVWriter) -> Void) -> String {
        var csv = CSVWriter()
        write(&csv)
        csv.endRow()
        return String(decoding: csv.bytes, as: UTF8.self)
    }

    @Test func `a value is quoted only where it has to be`() {
        #expect(row { $0.value("plain zoë") } == "plain zoë\r\n")
        #expect(row { $0.value("a,b") } == "\"a,b\"\r\n")
        #expect(row { $0.value("say \"x\"") } == "\"say \"\"x\"\"\"\r\n")
        #expect(row { $0.value("two\nlines") } == "\"two\nlines\"\r\n")
        #expect(row { $0.value("a\rb") } == "\"a\rb\"\r\n")
        #expect(row { $0.value("") } == "\r\n")
    }

    @Test func `values are separated and integers joined`() {
        let text = row {
            $0.value("a")
            $0.value([1, -2, 3])
            $0.value([])
            $0.value("b")
        }
        #expect(text == "a,1;-2;3,,b\r\n")
    }

    @Test(arguments: ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
    func `what a spreadsheet would compute is made harmless`(text: String) {
        let written = row { $0.foreignValue(text) }
        #expect(written.hasPrefix("'") || written.hasPrefix("\"'"))
        #expect(written.contains(text))
    }

    @Test func `a harmless name is left alone`() {
        for name in ["ada", " spaces ", "a=b", "'quoted'", "", "1-2"] {
            #expect(row { $0.foreignValue(name) } == name + "\r\n")
        }
    }

    @Test func `an export knows where it stands`() {
        var export = BallotExport(makeRecord(7, options: 3).poll, slot(7, 1))
        #expect(export.lastKey == nil)
        let keys = (1...2).map {
            BallotKey(poll: PollID(7)!, voter: VoterKey(high: 0, low: UInt64($0)))
        }
        let rows = export.rows([
            StoredBallot(
                key: keys[0], choices: Choices(mask: 0b101), voter: "=ada",
                castAt: 1_790_000_000_000),
            StoredBallot(
                key: keys[1], choices: Choices(mask: 0b10), voter: "a,\"b\"",
                castAt: 1_790_000_000_123),
        ])
        #expect(
            String(decoding: rows, as: UTF8.self) == """
                '=ada,70;72,2026-09-21T14:13:20Z\r
                "a,""b""\",71,2026-09-21T14:13:20.123Z\r\n
                """)
        #expect(export.lastKey == keys[1])
        #expect(export.rows([]).isEmpty)
        #expect(export.lastKey == keys[1])
    }

    @Test func `no poll and no address has more than its share of the exports`() {
        let slots = ExportSlots(limit: 5, perPoll: 2, perAddress: 3)
        #expect(slots.take(slot(1, 1)))
        #expect(slots.take(slot(1, 2)))
        #expect(!slots.take(slot(1, 3)))
        #expect(slots.take(slot(2, 1)))
        #expect(slots.take(slot(3, 1)))
        #expect(!slots.take(slot(4, 1)))
        #expect(slots.take(slot(4, 4)))
        // All are taken.
        #expect(!slots.take(slot(5, 5)))
        slots.putBack(slot(1, 2))
        #expect(slots.take(slot(1, 3)))
        #expect(!slots.take(slot(5, 5)))
    }
}
