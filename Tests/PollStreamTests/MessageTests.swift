import Testing

@testable import PollStream

/// What `pollstream` says of a wrong value: where it stands, what is wrong, and what to write.
struct MessageTests {
    /// For each setting that can be wrong, a value and what is said about it after its name.
    private static let table: [(name: String, value: String, said: String)] = [
        (
            "listen", "8080",
            #""8080" is not an address; write it like 127.0.0.1:8080 or [::1]:8080"#
        ),
        (
            "listen", "polls.example:80",
            #""polls.example:80" is not an address; write it like 127.0.0.1:8080 or [::1]:8080"#
        ),
        (
            "ops-listen", "no",
            #""no" is not an address; write it like 127.0.0.1:8080 or [::1]:8080"#
        ),
        (
            "database", "pollstream.db",
            "is not a database; write it like sqlite:pollstream.db or postgres://USER@HOST/DATABASE"
        ),
        ("redis", "localhost", "must look like redis://host:6379 or unix:///path"),
        ("events", "localhost", "must look like amqp://user:password@host:5672/vhost"),
        ("ledger-connections", "0", #""0" is not a number from 1 to 64"#),
        (
            "retain", "5y",
            #""5y" is not a duration; write it like 12h or 30d, up to 3650d"#
        ),
        ("migrate", "1", #""1" is not a choice; give one of: on, off"#),
        ("loops", "all", #""all" is not a number from 1 to 256"#),
        ("tick", "50", #""50" is not a duration; write it like 250ms, 30s, 5min or 2h"#),
        ("tick", "1min", #""1min" is out of range; give 1ms to 10s"#),
        (
            "services", "polls,vote",
            #""polls,vote" has "vote"; write it like polls,votes,live, or some of them"#
        ),
        ("fan-out", "epoll", #""epoll" is not a choice; give one of: auto, send, uring"#),
        (
            "compress-above", "1kb",
            #""1kb" is not a size; write it like 65536, 64KiB or 1MiB"#
        ),
        ("feed", "on", #""on" is not a choice; give one of: names, anonymous, off"#),
        ("feed-rate", "5/s", #""5/s" is not a number from 1 to 1000"#),
        ("voter-names", "no", #""no" is not a choice; give one of: allow, deny"#),
        ("voter-cookies", "no", #""no" is not a choice; give one of: allow, deny"#),
        (
            "public-url", "polls.example",
            #""polls.example" is not an origin; write it like https://polls.example.org"#
        ),
        ("hsts", "1y", #""1y" is not a duration; write it like 12h or 30d, up to 3650d"#),
        (
            "proxy-protocol", "v2",
            #""v2" is not a choice; give one of: off, optional, required"#
        ),
        (
            "trusted-proxy", "10.0.0.0/33",
            #""10.0.0.0/33" is not a network; write it like 10.0.0.0/8 or fd00::/8"#
        ),
        (
            "allowed-origin", "*",
            #""*" is not an origin; write it like https://polls.example.org"#
        ),
        ("admin-key", "letmein", "is not a key; give psa_ and at least 16 characters"),
        ("voter-key", "/no/key", #""/no/key" cannot be opened: No such file or directory"#),
        ("jwt-key", "/no/key", #""/no/key" cannot be opened: No such file or directory"#),
        ("jwt-issuer", "", "\"\" is empty"),
        ("jwt-audience", "", "\"\" is empty"),
        ("drain", "0s", #""0s" is out of range; give 1ms to 168h"#),
        ("drain-delay", "-1s", #""-1s" is not a duration; write it like 250ms, 30s, 5min or 2h"#),
        ("rate-polls", "5", #""5" is not a rate; write it like 5/s, 100/min or off"#),
        ("rate-votes", "5/h", #""5/h" is not a rate; write it like 5/s, 100/min or off"#),
        ("rate-messages", "0/s", #""0/s" is not a rate; write it like 5/s, 100/min or off"#),
        ("rate-handshakes", "no", #""no" is not a rate; write it like 5/s, 100/min or off"#),
        ("address-share", "0", #""0" is not a number from 1 to 1000000"#),
        (
            "limit", "body-bytes",
            #""body-bytes" is no NAME=VALUE; write it like body-bytes=64KiB"#
        ),
        (
            "limit", "body-byte=1KiB",
            #""body-byte=1KiB" does not name a limit; did you mean body-bytes?"#
        ),
        (
            "limit", "body-bytes=1GiB",
            #""body-bytes=1GiB" is not a size; write it like 65536, 64KiB or 1MiB"#
        ),
        (
            "limit", "body-bytes=65MiB",
            #""body-bytes=65MiB" is out of range; give 0 to 64MiB"#
        ),
        (
            "limit", "connections=0",
            #""connections=0" is not a number from 1 to 10000000"#
        ),
        (
            "log-level", "trace",
            #""trace" is not a choice; give one of: debug, info, notice, warning, error"#
        ),
        ("log-format", "xml", #""xml" is not a choice; give one of: text, json"#),
        ("ws-echo", "yes", #""yes" is not a choice; give one of: on, off"#),
    ]

    private func problems(
        _ arguments: [String: [String]] = [:], environment: [String: String] = [:]
    ) -> [String] {
        do throws(ConfigurationProblems) {
            _ = try Configuration(arguments: arguments, environment: { environment[$0] })
            return []
        } catch {
            return error.problems
        }
    }

    @Test func `a wrong value is told with where it stands and what to write`() {
        for (name, value, said) in Self.table {
            #expect(problems([name: [value]]) == ["--\(name): \(said)"])
            let variable = Setting.named(name).variable
            // A list's own comma parts it there.
            if !value.contains(",") || !Setting.named(name).isRepeatable {
                #expect(problems(environment: [variable: value]) == ["\(variable): \(said)"])
            }
        }
    }

    @Test func `every setting whose value can be wrong is in the table`() {
        // Any text may be the name of a file; what is wrong with the file is told by TLS's own tests.
        let files: Set = ["tls-certificate", "tls-key"]
        #expect(Set(Self.table.map(\.name)) == Set(Setting.all.map(\.name)).subtracting(files))
    }

    @Test func `a limit that is far from all is answered with all`() {
        let told = problems(["limit": ["nonsense=1"]])
        for limit in Limit.all { #expect(told.first?.contains(limit.name) == true) }
    }

    @Test func `the nearest name is offered, and none where it would be a guess`() {
        let names = ["listen", "limit", "drain", "drain-delay"]
        for (word, meant) in [
            ("lisen", "listen"), ("listne", "listen"), ("drains", "drain"),
            ("drain_delay", "drain-delay"), ("lst", nil), ("retain", nil), ("", nil),
        ] as [(String, String?)] {
            #expect(Spelling.nearest(to: word, among: names) == meant, "\(word)")
        }
    }

    @Test func `a variable that is almost a setting is told, and no other`() {
        #expect(
            Setting.misspellings(among: [
                "POLLSTREAM_LISEN", "POLLSTREAM_LISTEN", "LISEN", "POLLSTREAM_PORT",
                "POLLSTREAM_SERVICE_HOST", "POLLSTREAM_PORT_80_TCP", "POLLSTREAM_DRAIN-DELAY",
            ]) == [
                "POLLSTREAM_LISEN is no setting; did you mean POLLSTREAM_LISTEN?",
                "POLLSTREAM_DRAIN-DELAY is no setting; did you mean POLLSTREAM_DRAIN_DELAY?",
            ])
    }

    @Test func `what the machine refuses is told with what to do`() {
        #expect(
            Advice.with("cannot listen on 127.0.0.1:80: bind: Address already in use")
                == "cannot listen on 127.0.0.1:80: bind: Address already in use; `ss -ltnp` shows by whom"
        )
        #expect(Advice.with("out of luck") == "out of luck")
    }
}
