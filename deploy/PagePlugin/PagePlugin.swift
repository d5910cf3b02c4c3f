import Foundation
import PackagePlugin

/// Runs `Sources/Page/build` when something that it reads has changed.
@main
struct PagePlugin: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) -> [Command] {
        let folder = target.directoryURL
        let output = context.pluginWorkDirectoryURL.appending(path: "BuiltFiles.swift")
        return [
            .buildCommand(
                displayName: "Bundling the web application",
                executable: folder.appending(path: "build"), arguments: [output.path],
                inputFiles: files(below: folder), outputFiles: [output])
        ]
    }

    private func files(below folder: URL) -> [URL] {
        let found = FileManager.default.enumerator(
            at: folder, includingPropertiesForKeys: [.isRegularFileKey])
        return (found?.compactMap { $0 as? URL } ?? []).filter {
            (try? $0.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) == true
        }.sorted { $0.path < $1.path }
    }
}
