/// What somebody may have meant who wrote a name that there is not.
enum Spelling {
    /// The nearest of `names`, where at most two letters and no more than a third of `name` would
    /// have to change: further away it is a guess, and no help.
    static func nearest(to name: some StringProtocol, among names: [String]) -> String? {
        let word = Array(name.utf8)
        let most = min(2, word.count / 3)
        return names.map { (name: $0, distance: distance(word, Array($0.utf8))) }
            .filter { $0.distance <= most }.min { $0.distance < $1.distance }?.name
    }

    /// Letters to put in, take out or replace (Levenshtein), a row of its table at a time.
    private static func distance(_ word: [UInt8], _ other: [UInt8]) -> Int {
        var row = Array(0...other.count)
        for (index, letter) in word.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, wanted) in other.enumerated() {
                let replaced = diagonal + (letter == wanted ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[other.count]
    }
}

extension Setting {
    /// A line for each variable that is almost that of a setting. Others with our prefix are no
    /// mistake: Kubernetes sets POLLSTREAM_PORT and more for a service of that name.
    static func misspellings(among variables: [String]) -> [String] {
        let prefix = "POLLSTREAM_"
        let names = all.map { String($0.variable.dropFirst(prefix.count)) }
        return variables.compactMap { variable in
            let name = variable.dropFirst(prefix.count)
            guard variable.hasPrefix(prefix), !names.contains(String(name)),
                let meant = Spelling.nearest(to: name, among: names)
            else { return nil }
            return "\(variable) is no setting; did you mean \(prefix)\(meant)?"
        }
    }
}
