import Foundation
import PackagePlugin

/// Writes the files of a target's folder `files` as Swift source, with `embed` beside this.
@main
struct FilesPlugin: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let script = context.package.directoryURL.appending(path: "deploy/FilesPlugin/embed")
        let folder = target.directoryURL.appending(path: "files")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil
        ).sorted { $0.path < $1.path }
        let output = context.pluginWorkDirectoryURL.appending(path: "Files.swift")
        return [
            .buildCommand(
                displayName: "Embedding the files of \(target.name)",
                executable: script, arguments: [output.path] + files.map(\.path),
                inputFiles: files + [script], outputFiles: [output])
        ]
    }
}
