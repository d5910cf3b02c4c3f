import Addresses
import Testing

@testable import Events

struct AMQPTargetTests {
    @Test func `a URL names a broker, a user and a virtual host`() throws {
        var target = try AMQPTarget(
            url: "amqp://ada:p%40ss%2Fw:rd@broker.example:7000/polls%2Flive")
        #expect((target.host, target.port) == ("broker.example", 7_000))
        #expect((target.user, target.password) == ("ada", "p@ss/w:rd"))
        #expect(target.vhost == "polls/live" && target.authorities == nil)
        #expect(target.description == "amqp://broker.example:7000")
        for url in ["amqp://[::1]", "amqp://[::1]/", "amqp://guest:guest@[::1]:5672/%2f"] {
            target = try AMQPTarget(url: url)
            #expect((target.host, target.port, target.vhost) == ("::1", 5_672, "/"))
            #expect((target.user, target.password) == ("guest", "guest"))
            #expect(target.description == "amqp://[::1]:5672")
        }
    }

    @Test func `TLS trusts what the machine trusts, or one file`() throws {
        var target = try AMQPTarget(url: "amqps://ada:word@a/v")
        #expect((target.port, target.vhost) == (5_671, "v"))
        #expect(target.authorities == AMQPTarget.standardAuthorities)
        target = try AMQPTarget(url: "amqps://ada:word@a:1/v?cacertfile=/etc/our%20ca.pem")
        #expect((target.port, target.vhost) == (1, "v"))
        #expect(target.authorities == "/etc/our ca.pem")
        #expect(target.description == "amqps://a:1")
    }

    @Test(
        arguments: [
            "", "amqp", "amqp:", "amqp://", "amqp://:5672", "amqp://a:0", "amqp://a:65536",
            "amqp://a:+1", "amqp://a:", "amqp://a/b/c", "amqp://a b", "amqp://ada@a", "amqp://a/%",
            "amqp://a/%0", "amqp://a/%+1", "amqp://a/%zz", "amqp://a/%00", "amqp://a/%ff",
            "amqp://[::1", "amqp://[::1]5672", "amqp://a/v?heartbeat=1", "amqps://a?cacertfile=",
            "amqps://a?cacertfile=ca.pem", "amqp://a/v?cacertfile=/ca.pem", "redis://a",
            "amqpx://a",
            "amqp://a/" + String(repeating: "v", count: 256),
        ])
    func `what names none is refused`(url: String) {
        #expect(throws: BadURL.self) { try AMQPTarget(url: url) }
    }

    @Test func `a refusal repeats nothing`() {
        for url in ["amqp://ada:hush@a:hush", "amqp://ada:hu%sh@a", "hush", "amqp://hush@hush"] {
            let refusal = #expect(throws: BadURL.self) { try AMQPTarget(url: url) }
            #expect(refusal?.reason.contains("hush") == false)
        }
    }
}
