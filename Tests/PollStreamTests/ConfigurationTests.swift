import Testing

@testable import PollStream

struct ConfigurationTests {
    private func load(
        _ arguments: [String: [String]] = [:], environment: [String: String] = [:]
    ) throws -> Configuration {
        try Configuration(arguments: arguments, environment: { environment[$0] })
    }

    private func problems(
        _ arguments: [String: [String]], environment: [String: String] = [:]
    ) -> [String] {
        do {
            _ = try Configuration(arguments: arguments, environment: { environment[$0] })
            return []
        } catch {
            return error.problems
        }
    }

    @Test func `nothing said gives the defaults`() throws {
        let configuration = try load()
        #expect(configuration.listen == [ListenAddress(host: "127.0.0.1", port: 8080)])
        #expect(configuration.operationsListen == ListenAddress(host: "127.0.0.1", port: 9090))
        #expect(configuration.database == .sqlite(path: "pollstream.db"))
        #expect(configuration.loop.tickNanoseconds == 50_000_000)
        #expect(configuration.gateway.acceptsVoterNames)
        #expect(configuration.gateway.allowedOrigins == nil)
        #expect(configuration.drainMilliseconds == 30_000)
    }

    @Test func `the command line wins over the environment`() throws {
        let environment = [
            "POLLSTREAM_DATABASE": "sqlite:/a.db", "POLLSTREAM_TICK": "1s",
            "POLLSTREAM_LISTEN": "0.0.0.0:1, [::]:2",
            "POLLSTREAM_LIMIT": "subscriptions=7,body-bytes=1KiB",
        ]
        let quiet = try load(environment: environment)
        #expect(quiet.database == .sqlite(path: "/a.db"))
        #expect(
            quiet.listen == [
                ListenAddress(host: "0.0.0.0", port: 1), ListenAddress(host: "::", port: 2),
            ])
        #expect(quiet.loop.subscriptionCount == 7)
        #expect(quiet.gateway.subscriptionCount == 7)
        #expect(quiet.loop.bodyBytes == 1024)
        let spoken = try load(
            ["database": ["sqlite:b.db"], "listen": ["127.0.0.1:0"]], environment: environment)
        #expect(spoken.database == .sqlite(path: "b.db"))
        #expect(spoken.listen == [ListenAddress(host: "127.0.0.1", port: 0)])
        #expect(spoken.loop.tickNanoseconds == 1_000_000_000)
    }

    @Test func `every problem is told at once, and by the name it was given under`() {
        let found = problems(
            ["tick": ["fast"], "limit": ["subscriptions=0", "nonsense=1"], "loops": ["0"]],
            environment: ["POLLSTREAM_DRAIN": "soon"])
        #expect(found.count == 4)
        #expect(found.contains { $0.hasPrefix("--tick: \"fast\" ") })
        #expect(found.contains { $0.hasPrefix("--limit: \"subscriptions=0\" ") })
        #expect(found.contains { $0.hasPrefix("--loops: \"0\" ") })
        #expect(found.contains { $0.hasPrefix("POLLSTREAM_DRAIN: \"soon\" ") })
    }

    @Test func `an option that is wrong names what to write`() {
        for (name, values) in [
            (
                "listen",
                ["8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", ":80", ""]
            ),
            ("ops-listen", ["on", "127.0.0.1:+1"]),
            ("database", ["", "pollstream.db", "sqlite:", "mysql://x"]),
            ("migrate", ["yes"]), ("loops", ["-1", "257", "two", "1.5", ""]),
            ("tick", ["50", "-1s", "1d", "", "s", "99999999999h", "0ms", "11s"]),
            ("voter-names", ["maybe"]), ("public-url", ["ftp://x", "https://", "example.org"]),
            ("allowed-origin", ["*", "https://a/b", "https://a b", "null"]),
            ("admin-key", ["secret", "psa_short"]),
            ("drain-delay", ["-1s"]), ("rate-votes", ["5", "5/h", "0/s", "x/s", "5/s/s"]),
            ("log-level", ["loud"]), ("log-format", ["xml"]),
            ("limit", ["", "body-bytes", "body-bytes=-1", "body-bytes=1GiB", "ping-period=0s"]),
        ] {
            for value in values {
                let found = problems([name: [value]])
                #expect(found.count == 1, "\(name)=\(value): \(found)")
                #expect(found.first?.hasPrefix("--\(name): ") == true)
            }
        }
    }

    @Test func `a wrong key is not repeated`() {
        let found = problems(["admin-key": ["hunter2"]])
        #expect(found.count == 1 && !found.joined().contains("hunter2"))
    }

    @Test func `durations, sizes and rates are read in their units`() throws {
        #expect(try Value.milliseconds("250ms") == 250)
        #expect(try Value.milliseconds("2s") == 2_000)
        #expect(try Value.milliseconds("5min") == 300_000)
        #expect(try Value.milliseconds("168h") == 604_800_000)
        #expect(try Value.milliseconds("0", minimum: 0) == 0)
        #expect(try Value.bytes("64KiB", in: 0...1 << 20) == 65_536)
        #expect(try Value.bytes("1MiB", in: 0...1 << 20) == 1_048_576)
        #expect(try Value.rate("100/min")?.perMilliseconds == 60_000)
        #expect(try Value.rate("off") == nil)
    }

    @Test func `each setting has a variable of its own, and each limit a name of its own`() {
        #expect(Set(Setting.all.map(\.variable)).count == Setting.all.count)
        #expect(Set(Limit.all.map(\.name)).count == Limit.all.count)
        #expect(Setting.named("drain-delay").variable == "POLLSTREAM_DRAIN_DELAY")
    }

    @Test func `certificates and keys come in pairs, and all that is wrong with them is told`() {
        func problems(_ arguments: [String: [String]]) -> [String] {
            do {
                _ = try Configuration(arguments: arguments, environment: { _ in nil })
                return []
            } catch {
                return error.problems
            }
        }
        #expect(
            problems(["tls-certificate": ["a.pem", "b.pem"], "tls-key": ["a.key"]]) == [
                """
                --tls-certificate: given 2 times, and --tls-key 1 times; give a key for each, in the \
                same order
                """
            ])
        #expect(
            problems([
                "tls-certificate": ["/nowhere/a.pem", "/nowhere/b.pem"],
                "tls-key": ["/nowhere/a.key", "/nowhere/b.key"], "tick": ["banana"],
            ]).count == 3)
        #expect(
            problems(["hsts": ["1d"]]) == [
                "--hsts: is for TLS that ends here; give --tls-certificate"
            ])
    }

    @Test func `the command line knows exactly the settings of the table`() throws {
        let options = try ServeOptions.parse([])
        #expect(Set(options.arguments.keys) == Set(Setting.all.map(\.name)))
    }

    @Test func `what can be chosen is completed`() throws {
        for (name, words) in [
            ("fan-out", ["auto", "send", "uring"]), ("redis", ["off"]),
            ("log-level", ["debug", "info", "notice", "warning", "error"]), ("ops-listen", ["off"]),
            ("drain", nil),
        ] as [(String, [String]?)] {
            #expect(Setting.named(name).words == words, "\(name)")
        }
    }

    @Test func `the defaults that help names are the defaults`() throws {
        let silent = try load()
        for limit in Limit.all where limit.standard.first?.isNumber == true {
            var configuration = silent
            try limit.apply(&configuration, limit.standard)
            #expect("\(configuration)" == "\(silent)", "\(limit.name)")
        }
        for setting in Setting.all where !setting.standard.contains(" ") {
            var configuration = silent
            try setting.apply(&configuration, [setting.standard])
            #expect("\(configuration)" == "\(silent)", "\(setting.name)")
        }
    }
}
