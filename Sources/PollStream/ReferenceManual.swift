extension Reference {
    /// The page pollstream(1), in the language of man(7).
    static var man: String {
        """
        .TH POLLSTREAM 1 "" "PollStream \(Version.current)" "User Commands"
        .\\" Variables are to be copied whole.
        .nh
        .SH NAME
        pollstream \\- \(escaped(abstract.lowercasedFirst))
        .SH SYNOPSIS
        \(commands.map(synopsis).joined(separator: "\n.br\n"))
        .br
        .B pollstream \\-\\-help
        |
        .B \\-\\-version
        .SH DESCRIPTION
        PollStream shows a live poll to an audience of thousands: they vote, and everybody sees the
        counts move at once. Each vote is durable before it is answered.
        .SH COMMANDS
        \(commands.map { item("pollstream \($0.name) \($0.arguments)", $0.does) }.joined(separator: "\n"))
        .SH OPTIONS
        \(escaped(sources))
        \(Setting.all.map(entry).joined(separator: "\n"))
        .SH VALUES
        \(values.map { item($0.kind, $0.written) }.joined(separator: "\n"))
        .SH LIMITS
        For
        .BR \\-\\-limit ,
        with what a client gets who comes past them.
        \(Limit.all.map(entry).joined(separator: "\n"))
        .SH SIGNALS
        \(signals.map { item($0.names, $0.does) }.joined(separator: "\n"))
        .SH EXIT STATUS
        \(statuses.map { item($0.status, $0.means) }.joined(separator: "\n"))
        .SH FILES
        \(item("/etc/default/pollstream", "What the systemd unit reads: POLLSTREAM_OPTION=value, a line each."))
        \(item("/var/lib/pollstream/pollstream.db", "Polls and ballots, where the unit is told of no other database."))
        .SH EXAMPLES
        Everything on this machine, at http://127.0.0.1:8080:
        .PP
        .EX
        pollstream serve
        .EE
        .PP
        One of many gateways behind a load balancer:
        .PP
        .EX
        pollstream serve \\-\\-listen 0.0.0.0:8080 \\-\\-database postgres://db.example/polls \\e
            \\-\\-redis redis://redis.example \\-\\-proxy\\-protocol required \\-\\-trusted\\-proxy 10.0.0.0/8
        .EE
        .SH SEE ALSO
        .BR systemd.exec (5),
        .BR sysctl (8)
        """
    }

    private static func synopsis(
        of command: (name: String, arguments: String, does: String)
    ) -> String {
        ".B pollstream \(command.name)\n\(escaped(command.arguments))"
    }

    private static func entry(of setting: Setting) -> String {
        let option = setting.isSwitch ? "--\(setting.name)" : "--\(setting.name) \(setting.value)"
        let more = setting.isRepeatable ? " Repeatable." : ""
        return item(
            option, "\(setting.help)\(more) Default: \(setting.standard). \(setting.variable)")
    }

    private static func entry(of limit: Limit) -> String {
        item(limit.name, "\(limit.standard), from \(limit.range); past it: \(limit.past)")
    }

    private static func item(_ term: String, _ text: String) -> String {
        ".TP\n.B \(escaped(term))\n\(escaped(text))"
    }

    /// A dash by itself is typeset as a hyphen, which nobody can copy into a shell; a backslash begins
    /// a command, and so do a dot and a quote at the beginning of a line.
    static func escaped(_ text: String) -> String {
        let copied = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
        return copied.hasPrefix(".") || copied.hasPrefix("'") ? "\\&" + copied : copied
    }
}

extension String {
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
