// What gateways tell one another over Redis. Each input is sealed with the right key first, as by a gateway
// of another version, or one that lies: what is taken must be, byte for byte, what a gateway says when it
// means that. Unsealed, or with a bit changed, it is nothing.
@testable import Identity
@testable import Polls
@testable import Relay

private let seal = RelaySeal(key: Array(repeating: 1, count: 32))
private let settings = (try? RedisTarget(url: "redis://localhost")).map(RelaySettings.init)

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRelay(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = Array(UnsafeBufferPointer(start: start, count: count))
    let sealed = text + seal.seal(text)
    if let (message, sender) = RelayMessage.decode(sealed, with: seal) {
        require(
            message.encoded(by: sender, with: seal) == sealed, "taken for what it does not say")
    }
    require(RelayMessage.decode(text, with: seal) == nil, "taken without a seal")
    for index in [0, count / 2, count + 7] where index < sealed.count {
        var changed = sealed
        changed[index] ^= 1 << ((text.first ?? 0) % 8)
        require(RelayMessage.decode(changed, with: seal) == nil, "taken with a broken seal")
    }
    hear(sealed, on: text)
    return 0
}

/// Says which law is broken, in an optimised build too.
private func require(_ holds: Bool, _ law: StaticString) {
    if !holds { fatalError("broken: \(law)") }
}

/// As Redis would say it: whatever the message and whatever the channel.
private func hear(_ message: [UInt8], on channel: [UInt8]) {
    guard let settings else { fatalError("the URL is one") }
    let station = RelayStation(settings: settings, node: NodeID(rawValue: 1), seal: seal)
    var hearing = RelayHearing(station, at: 0)
    for kind in ["message", "smessage", "subscribe", "sunsubscribe"] {
        let parts = [Array(kind.utf8), channel, message].map { RedisConnection.Reply.bytes($0) }
        hearing.take(.list(parts), isWatched: { _ in false })
    }
    _ = try? hearing.takeNews(at: 1)
}
