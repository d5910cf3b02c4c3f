/// What there is to say about the program beside its tables, once for help in all its forms.
enum Reference {
    static let abstract = "A realtime polling gateway: votes in, live tallies out, one binary."

    static let commands: [(name: String, arguments: String, does: String)] = [
        ("serve", "[OPTION…]", "Serves everything, in the foreground, until SIGTERM."),
        (
            "migrate", "[--database …] [--events …|off]",
            "Creates or upgrades the schema of a database. --events begins to keep events for a "
                + "broker, and with off ends it and forgets what is kept."
        ),
        (
            "check", "[OPTION…]",
            "Validates the configuration, looks at what it depends on, and says all that is wrong. "
                + "It changes nothing."
        ),
        (
            "check", "--sockets N [OPTION…]",
            "Looks at this machine alone, and says what to change for so many sockets, and why."
        ),
    ]

    static let values: [(kind: String, written: String)] = [
        ("DURATION", "250ms, 30s, 5min, 2h; for --retain and --hsts also 30d"),
        ("BYTES", "65536, 64KiB, 1MiB"),
        ("ADDR:PORT", "127.0.0.1:8080, [::]:8080; port 0 picks a free one"),
        ("CIDR", "10.0.0.0/8, fd00::/8, or one address"),
        ("ORIGIN, URL", "https://polls.example, with a port where it is not the usual one"),
    ]

    static let signals: [(names: String, does: String)] = [
        (
            "SIGTERM, SIGINT",
            "Drains: everybody is told when to come back, what was received is answered, and the "
                + "process exits 0. A second one stops at once."
        ),
        ("SIGHUP", "Reads keys and certificates again; a bad new one keeps the old."),
        ("SIGUSR1, SIGUSR2", "Make the log a level more or less talkative."),
    ]

    static let statuses: [(status: String, means: String)] = [
        ("0", "It was asked to stop, or has done what it was asked."),
        ("1", "The configuration is wrong, or check has found something."),
        ("2", "A database or an address cannot be used."),
        ("64", "The command line cannot be read."),
    ]

    static let sources = """
        Each option is also an environment variable. The command line wins; of an option that is given \
        twice and is not repeatable, the last. Repeatable ones take a list between commas in the \
        environment. All that is wrong is told at once, and nothing is served then.
        """
}
