/// What to do about a refusal of the machine's, which itself says only what it is.
enum Advice {
    private static let table: [(told: String, advice: String)] = [
        ("Address already in use", "`ss -ltnp` shows by whom"),
        (
            "Cannot assign requested address",
            "no interface of this machine has it; `ip address` lists them, and 0.0.0.0 and [::] stand for all"
        ),
        (
            "bind: Permission denied",
            "a port below 1024 takes root or CAP_NET_BIND_SERVICE"
        ),
        (
            "another gateway uses this database",
            "one at a time on SQLite; for several give --database postgres://…"
        ),
        ("the directory cannot be used", "make it, and let this user write there"),
    ]

    /// - Returns: the refusal, and where there is something to do about it, what.
    static func with(_ refusal: String) -> String {
        let advice = table.first { refusal.contains($0.told) }?.advice
        return advice.map { "\(refusal); \($0)" } ?? refusal
    }
}
