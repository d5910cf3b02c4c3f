extension Reference {
    /// docs/configuration.md, whole.
    static var markdown: String {
        """
        # Configuration

        Made from the program's own tables. After a change there:
        `swift run pollstream reference markdown > docs/configuration.md`

        \(sources)

        ## Commands

        \(table(["command", "does"], commands.map { ["`pollstream \($0.name) \($0.arguments)`", $0.does] }))

        ## Options

        \(table(["option", "in the environment", "default", "what it is for"], Setting.all.map(row)))

        Values are written like this:

        \(table(["value", "like"], values.map { ["`\($0.kind)`", $0.written] }))

        ## Limits

        For `--limit NAME=VALUE`, which may be given many times; `POLLSTREAM_LIMIT` takes a list between \
        commas. Past a limit a client is answered with the status or close code named here, and \
        `pollstream_limits_hit_total` in `/metrics` counts it.

        \(table(["limit", "default", "from and to", "past it"], Limit.all.map(row)))

        ## Signals

        \(table(["signal", "does"], signals.map { [$0.names, $0.does] }))

        ## Exit status

        \(table(["status", "means"], statuses.map { [$0.status, $0.means] }))
        """
    }

    private static func row(of setting: Setting) -> [String] {
        let option =
            setting.isSwitch ? "`--\(setting.name)`" : "`--\(setting.name) \(setting.value)`"
        return [
            option + (setting.isRepeatable ? ", repeatable" : ""), "`\(setting.variable)`",
            setting.standard, setting.help,
        ]
    }

    private static func row(of limit: Limit) -> [String] {
        ["`\(limit.name)`", limit.standard, limit.range, limit.past]
    }

    private static func table(_ head: [String], _ rows: [[String]]) -> String {
        ([head, head.map { _ in "---" }] + rows).map { cells in
            // A bar within a cell would begin the next one, in code as well.
            "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
        }.joined(separator: "\n")
    }
}
