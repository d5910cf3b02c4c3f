import Addresses
import Testing

@testable import Relay

struct RedisTargetTests {
    @Test func `a URL names a server, a user and a database`() throws {
        var target = try RedisTarget(url: "redis://ada:p%40ss%2Fw:rd@redis.example:7000/3")
        #expect(target.address == .host("redis.example", port: 7_000))
        #expect((target.user, target.password) == ("ada", "p@ss/w:rd"))
        #expect(target.database == 3)
        target = try RedisTarget(url: "redis://:word@[::1]")
        #expect(target.address == .host("::1", port: 6_379))
        #expect(target.user == nil && target.password == "word")
        #expect(target.description == "redis://[::1]:6379")
        target = try RedisTarget(url: "unix://ada:word@/run/redis.sock?db=9")
        #expect(target.address == .path("/run/redis.sock"))
        #expect((target.user, target.password, target.database) == ("ada", "word", 9))
        #expect(target.description == "unix:///run/redis.sock")
    }

    @Test(
        arguments: [
            "", "redis", "redis:", "redis://", "redis://:6379", "redis://a:0", "redis://a:65536",
            "redis://a:+1", "redis://a/-1", "redis://a/b", "redis://a/1/2", "redis://a b",
            "redis://ada@a", "redis://:%zz@a", "redis://:%1@a", "redis://[::1", "redis://[::1]6379",
            "rediss://a", "unix://a", "unix://", "unix:///a?x=1", "unix:///a?db=",
            "unix:///" + String(repeating: "a", count: 107), "amqp://a",
        ])
    func `what names none is refused`(url: String) {
        #expect(throws: BadURL.self) { try RedisTarget(url: url) }
    }
}
