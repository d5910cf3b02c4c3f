import Glibc

/// Lends a copy of `bytes` whose last byte touches an unreadable page: who reads one byte too far
/// crashes.
func withGuarded<Result>(
    _ bytes: some Collection<UInt8>, _ body: (UnsafeMutablePointer<UInt8>) -> Result
) -> Result {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let readable = (bytes.count + page - 1) / page * page
    let mapped = mmap(
        nil, readable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != MAP_FAILED, mprotect(mapped + readable, page, PROT_NONE) == 0
    else { fatalError("no memory to guard") }
    defer { munmap(mapped, readable + page) }
    let start = (mapped + readable - bytes.count).assumingMemoryBound(to: UInt8.self)
    for (index, byte) in bytes.enumerated() { start[index] = byte }
    return body(start)
}

/// A fresh seed, printed so that a failure can be run again.
func printedSeed(_ test: String = #function) -> UInt64 {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed of \(test): \(seed)")
    return seed
}
