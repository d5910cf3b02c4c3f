// swift-tools-version: 6.2
import PackageDescription

/// Our own C: GNU C17, every warning an error.
let cSettings: [CSetting] = [
    .define("_GNU_SOURCE"),
    .unsafeFlags(["-Wall", "-Wextra", "-Wshadow", "-Wvla", "-Werror"]),
    .unsafeFlags(["-O3"], .when(configuration: .release)),
]

/// Our own Swift: imports are internal unless said otherwise, every warning an error.
let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .unsafeFlags(["-warnings-as-errors"]),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(of name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies,
        swiftSettings: swiftSettings)
}

let package = Package(
    name: "PollStream",
    products: [
        .executable(name: "pollstream", targets: ["PollStream"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    ],
    targets: [
        // System libraries: one module map each, no code.
        .systemLibrary(
            name: "CLibuv", path: "CSources/CLibuv", pkgConfig: "libuv",
            providers: [.apt(["libuv1-dev"])]),
        .systemLibrary(
            name: "CSQLite", path: "CSources/CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CLibcrypto", path: "CSources/CLibcrypto", pkgConfig: "libcrypto",
            providers: [.apt(["libssl-dev"])]),

        // Our own C.
        .target(name: "CWire", path: "CSources/CWire", cSettings: cSettings),
        .target(
            name: "CReactor", dependencies: ["CWire", "CLibuv"], path: "CSources/CReactor",
            cSettings: cSettings, linkerSettings: [.linkedLibrary("uv")]),

        // The rooms. Gateway, Ledger and Catalogue never import each other.
        room("Polls"),
        room("JSON", ["CWire"]),
        room("Telemetry", [.product(name: "Logging", package: "swift-log")]),
        room("Identity", ["Polls", "CLibcrypto"]),
        room("Reactor", ["CReactor", "CWire"]),
        room("Store", ["Polls", "CSQLite"]),
        room("Ledger", ["Polls", "Store", "Telemetry"]),
        room("Catalogue", ["Polls", "Store", "Identity", "Telemetry"]),
        room("Gateway", ["Polls", "Identity", "JSON", "Reactor", "Telemetry"]),
        .executableTarget(
            name: "PollStream",
            dependencies: [
                "Polls", "Identity", "Telemetry", "Reactor", "Gateway", "Store", "Ledger",
                "Catalogue", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swiftSettings),

        tests(of: "Identity", ["Polls"]),
        .target(
            name: "CFaults", dependencies: ["CSQLite"], path: "Tests/CFaults", cSettings: cSettings,
            linkerSettings: [.linkedLibrary("sqlite3")]),
        .executableTarget(
            name: "StoreChild", dependencies: ["Polls", "Store"], path: "Tests/StoreChild",
            swiftSettings: swiftSettings),
        tests(of: "Store", ["Polls", "CFaults", "CSQLite", "StoreChild"]),
    ],
    cLanguageStandard: .gnu17
)
