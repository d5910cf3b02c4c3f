import Glibc
import Testing
import Threads

@testable import Telemetry

@Suite struct LogTests {
    @Test func `each level is written from its own on`() {
        for (index, level) in Log.Level.allCases.enumerated() {
            let pipe = Pipe()
            let output = LogOutput(descriptor: pipe.writing)
            let log = Log(level: level, format: .text, to: output, now: { 0 })
            log.debug("1")
            log.info("2")
            log.notice("3")
            log.warning("4")
            log.error("5")
            output.close()
            let levels = pipe.lines().map { $0.split(separator: " ")[1] }
            #expect(levels == Log.Level.allCases[index...].map { Substring($0.rawValue) })
        }
    }

    @Test func `a level that is set counts for every copy`() {
        let pipe = Pipe()
        let output = LogOutput(descriptor: pipe.writing)
        let log = Log(level: .notice, format: .text, to: output, now: { 0 })
        let copy = log
        copy.info("1")
        log.level = log.level.moreTalkative
        copy.info("2")
        copy.debug("3")
        output.close()
        #expect(log.level == .info)
        #expect(pipe.lines() == ["1970-01-01T00:00:00.000Z info 2"])
    }

    @Test func `the ends of the levels stay`() {
        #expect(Log.Level.debug.moreTalkative == .debug)
        #expect(Log.Level.error.lessTalkative == .error)
        let climb = sequence(first: Log.Level.debug) { $0 == .error ? nil : $0.lessTalkative }
        #expect(Array(climb) == Log.Level.allCases)
    }

    @Test func `facts come in the order of their names`() {
        let pipe = Pipe()
        let output = LogOutput(descriptor: pipe.writing)
        Log(level: .info, format: .text, to: output, now: { 0 })
            .info("m", ["b": "2", "c": "3", "a": "1"])
        output.close()
        #expect(pipe.lines() == ["1970-01-01T00:00:00.000Z info m a=1 b=2 c=3"])
    }
}

@Suite struct LogOutputTests {
    @Test func `lines of many threads arrive whole`() {
        let pipe = Pipe()
        let output = LogOutput(descriptor: pipe.writing, lineLimit: 4_000)
        let line = String(repeating: "x", count: 30) + "\n"
        let threads = (0..<4).map { _ in
            Thread(name: "logger") { for _ in 0..<250 { output.write(Array(line.utf8)) } }
        }
        threads.forEach { $0.join() }
        output.close()
        let lines = pipe.lines()
        #expect(lines.count == 1_000)
        #expect(lines.allSatisfy { $0 == String(repeating: "x", count: 30) })
        #expect(output.droppedLines == 0)
    }

    @Test func `a pipe that nobody reads costs lines, not time`() {
        let pipe = Pipe()
        pipe.fill()
        let output = LogOutput(descriptor: pipe.writing, lineLimit: 8)
        // The writer may hold 8, the buffer 8.
        for _ in 0..<200 { output.write(Array("a line\n".utf8)) }
        #expect((200 - 16...200 - 8).contains(output.droppedLines))
        #expect(!output.flush(until: Clock.monotonicNanoseconds()))

        let reader = Thread(name: "reader") { pipe.drain() }
        #expect(output.flush(until: Clock.monotonicNanoseconds() + 60_000_000_000))
        output.close()
        pipe.closeWriting()
        reader.join()
    }

    @Test func `a full disk is counted`() throws {
        let descriptor = open("/dev/full", O_WRONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let output = LogOutput(descriptor: descriptor)
        for _ in 0..<3 { output.write(Array("lost\n".utf8)) }
        output.close()
        #expect(output.droppedLines == 3)
    }

    @Test func `a reader that went away is counted and does not end the process`() {
        let pipe = Pipe()
        let output = LogOutput(descriptor: pipe.writing)
        pipe.closeReading()
        output.write(Array("lost\n".utf8))
        output.close()
        #expect(output.droppedLines == 1)
    }

    @Test func `a non-blocking descriptor loses nothing that fits`() {
        let pipe = Pipe()
        _ = fcntl(pipe.writing, F_SETFL, O_NONBLOCK)
        let output = LogOutput(descriptor: pipe.writing, lineLimit: 64)
        let line = [UInt8](repeating: 0x61, count: 4_095) + [0x0A]
        for _ in 0..<40 { output.write(line) }
        let reader = Thread(name: "reader") { pipe.drain() }
        output.close()
        pipe.closeWriting()
        reader.join()
        #expect(output.droppedLines == 0)
        #expect(pipe.drainedBytes == 40 * 4_096)
    }

    @Test func `what is written after the close is counted`() {
        let pipe = Pipe()
        let output = LogOutput(descriptor: pipe.writing)
        output.close()
        output.write(Array("late\n".utf8))
        #expect(output.droppedLines == 1)
    }
}

/// One test's pipe. What threads of the test share is read after they have ended.
private final class Pipe: @unchecked Sendable {
    private(set) var drainedBytes = 0
    private var reading: Int32
    private(set) var writing: Int32

    init() {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0)
        reading = ends[0]
        writing = ends[1]
    }

    deinit {
        closeReading()
        closeWriting()
    }

    func closeReading() {
        if reading >= 0 { close(reading) }
        reading = -1
    }

    func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }

    /// Until it takes no more.
    func fill() {
        _ = fcntl(writing, F_SETFL, O_NONBLOCK)
        let bytes = [UInt8](repeating: 0x61, count: 4_096)
        while write(writing, bytes, bytes.count) > 0 {}
        _ = fcntl(writing, F_SETFL, 0)
    }

    /// Closes the writing end and reads all there is.
    func lines() -> [String] {
        closeWriting()
        return String(decoding: rest(), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// Reads until the writing end is closed.
    func drain() { drainedBytes = rest().count }

    private func rest() -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = read(reading, &buffer, buffer.count), count > 0 {
            all.append(contentsOf: buffer.prefix(count))
        }
        return all
    }
}
