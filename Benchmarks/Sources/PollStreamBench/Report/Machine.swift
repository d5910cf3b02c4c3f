import Foundation
import Glibc

/// Where the figures come from.
struct Machine: Encodable {
    let processor: String
    let cores: Int
    let kernel: String
    let memoryGigabytes: Double

    static var current: Machine {
        let processors = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model = processors.split(separator: "\n").first { $0.hasPrefix("model name") }
        var name = utsname()
        uname(&name)
        let kernel = withUnsafeBytes(of: &name.release) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return Machine(
            processor: model?.split(separator: ":").last.map {
                $0.trimmingCharacters(in: .whitespaces)
            } ?? "unknown processor",
            cores: ProcessInfo.processInfo.activeProcessorCount,
            kernel: kernel,
            memoryGigabytes: (Double(ProcessInfo.processInfo.physicalMemory) / 1e8).rounded() / 10)
    }

    /// The commit of the sources this binary lies in, with `+` where files were changed since;
    /// `unknown` outside a repository.
    static var commit: String {
        let folder = URL(fileURLWithPath: Repository.executable).deletingLastPathComponent().path
        guard let commit = output(of: ["git", "-C", folder, "rev-parse", "--short=12", "HEAD"])
        else { return "unknown" }
        let changes = output(of: ["git", "-C", folder, "status", "--porcelain", "-uno"]) ?? ""
        return changes.isEmpty ? commit : commit + "+"
    }

    private static func output(of command: [String]) -> String? {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(
            in: .whitespacesAndNewlines)
    }
}

/// Where things lie relative to this binary.
enum Repository {
    static let executable =
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        ?? CommandLine.arguments[0]

    static var gateway: String { built("pollstream") }

    /// A program of the release build in the repository that contains this binary.
    static func built(_ program: String) -> String {
        var folder = URL(fileURLWithPath: executable).deletingLastPathComponent()
        while folder.path != "/" {
            if folder.lastPathComponent == "Benchmarks" {
                return folder.deletingLastPathComponent()
                    .appendingPathComponent(".build/release/\(program)").path
            }
            folder.deleteLastPathComponent()
        }
        return program
    }

    /// The limit server is built beside this binary.
    static var sendLimit: String {
        URL(fileURLWithPath: executable).deletingLastPathComponent()
            .appendingPathComponent("pollstream-limit-send").path
    }
}
