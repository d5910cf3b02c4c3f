// swift-tools-version: 6.2
import PackageDescription

/// Our own C: GNU C17, every warning an error.
let cSettings: [CSetting] = [
    .define("_GNU_SOURCE"),
    .define("NDEBUG", .when(configuration: .release)),
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
        name: "\(name)Tests",
        dependencies: [.byName(name: name), "TestRandom", "TestSockets"] + dependencies,
        swiftSettings: swiftSettings)
}

let package = Package(
    name: "PollStream",
    products: [
        .executable(name: "pollstream", targets: ["PollStream"]),
        .library(name: "PollStreamClient", targets: ["PollStreamClient"]),
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
            name: "CZlib", path: "CSources/CZlib", pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CSQLite", path: "CSources/CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CLibpq", path: "CSources/CLibpq", pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"])]),
        // hiredis.pc asks for -D_FILE_OFFSET_BITS, which SwiftPM warns about.
        .systemLibrary(
            name: "CHiredis", path: "CSources/CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(
            name: "CRabbitMQ", path: "CSources/CRabbitMQ", pkgConfig: "librabbitmq",
            providers: [.apt(["librabbitmq-dev"])]),
        .systemLibrary(
            name: "CLibcrypto", path: "CSources/CLibcrypto", pkgConfig: "libcrypto",
            providers: [.apt(["libssl-dev"])]),

        // Our own C.
        .target(name: "CWire", path: "CSources/CWire", cSettings: cSettings),
        .target(
            name: "CReactor", dependencies: ["CWire", "CLibuv", "CZlib"], path: "CSources/CReactor",
            cSettings: cSettings,
            linkerSettings: ["uv", "ssl", "crypto"].map { .linkedLibrary($0) }),

        // The rooms. Gateway, Ledger, Catalogue, Relay and Events never import each other.
        room("Polls"),
        room("JSON", ["CWire"]),
        room("Threads"),
        room("Telemetry", ["Threads", .product(name: "Logging", package: "swift-log")]),
        room("Identity", ["Polls", "JSON", "Threads", "CLibcrypto"]),
        room("Reactor", ["CReactor", "CWire", "Threads"]),
        room("Store", ["Polls", "CLibpq", "CSQLite", "Threads"]),
        room("Ledger", ["Polls", "Store", "Telemetry", "Threads"]),
        room("Catalogue", ["Polls", "Store", "Telemetry", "Threads"]),
        room("Addresses"),
        room("Relay", ["Addresses", "Polls", "CHiredis", "Identity", "Telemetry", "Threads"]),
        room(
            "Events",
            ["Addresses", "Polls", "CRabbitMQ", "JSON", "Store", "Telemetry", "Threads"]),
        // The operators' page travels inside the binary, as it is.
        .target(
            name: "StatusPage", exclude: ["files"], swiftSettings: swiftSettings,
            plugins: ["FilesPlugin"]),
        // The web application, which is bundled by the build and travels inside the binary.
        .target(
            name: "Page", dependencies: ["Identity"], exclude: ["app", "build", "client", "site"],
            swiftSettings: swiftSettings, plugins: ["PagePlugin"]),
        .plugin(name: "PagePlugin", capability: .buildTool(), path: "deploy/PagePlugin"),
        // The API for programs to read, as OpenAPI and AsyncAPI.
        .target(
            name: "Description", exclude: ["files"], swiftSettings: swiftSettings,
            plugins: ["FilesPlugin"]),
        // The files of these two as Swift source.
        .plugin(name: "FilesPlugin", capability: .buildTool(), path: "deploy/FilesPlugin"),
        room(
            "Gateway",
            [
                "Polls", "Description", "Identity", "JSON", "Page", "Reactor", "StatusPage",
                "Telemetry", "Threads",
            ]),
        .executableTarget(
            name: "PollStream",
            dependencies: [
                "Polls", "Identity", "Threads", "Telemetry", "Reactor", "Gateway", "Store",
                "Ledger",
                "Catalogue", "Relay", "Events", "Addresses",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swiftSettings),

        // For programs that follow polls and vote.
        room("PollStreamClient", ["CWire", "JSON", "Threads"]),

        tests(of: "Polls"),
        tests(of: "Threads"),
        tests(of: "Telemetry", ["Threads"]),
        .target(
            name: "CTestTLS", path: "Tests/CTestTLS", cSettings: cSettings,
            linkerSettings: ["ssl", "crypto"].map { .linkedLibrary($0) }),
        tests(of: "Reactor", ["CTestTLS", "CZlib"]),
        tests(of: "CWire"),
        tests(of: "JSON"),
        tests(of: "Ledger", ["Polls", "Store", "Telemetry", "Threads"]),
        tests(of: "Catalogue", ["Polls", "Store", "Telemetry", "Threads"]),
        tests(of: "Identity", ["Polls", "CLibcrypto"]),
        tests(of: "Events", ["Addresses", "Polls", "JSON"]),
        tests(
            of: "Relay",
            ["Addresses", "Polls", "Identity", "Telemetry", "TestServers", "Threads"]),
        tests(of: "PollStream", ["Gateway", "Reactor", "Telemetry", "Threads"]),
        tests(of: "PollStreamClient", ["PollStream"]),
        tests(
            of: "Gateway",
            ["Polls", "Description", "Identity", "JSON", "Page", "Reactor", "Threads"]),
        .target(
            name: "CFaults", dependencies: ["CSQLite"], path: "Tests/CFaults", cSettings: cSettings,
            linkerSettings: [.linkedLibrary("sqlite3")]),
        .executableTarget(
            name: "StoreChild", dependencies: ["Polls", "Store"], path: "Tests/StoreChild",
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "ledger-bench",
            dependencies: [
                "Polls", "Store", "TestServers",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Benchmarks/Sources/ledger-bench", swiftSettings: swiftSettings),
        .target(
            name: "CDrivenLoop", dependencies: ["CReactor", "CLibuv"], path: "Tests/CDrivenLoop",
            cSettings: cSettings + [.headerSearchPath("../../CSources/CReactor")],
            linkerSettings: [.linkedLibrary("uv")]),
        .executableTarget(
            name: "simulation",
            dependencies: [
                "CDrivenLoop", "Catalogue", "Gateway", "Identity", "JSON", "Ledger", "Polls",
                "Reactor", "Relay", "Store", "Telemetry", "TestSockets", "Threads",
            ], path: "Tests/Simulation", exclude: ["run"], swiftSettings: swiftSettings),
        .target(name: "TestRandom", path: "Tests/TestRandom", swiftSettings: swiftSettings),
        .target(name: "TestSockets", path: "Tests/TestSockets", swiftSettings: swiftSettings),
        .target(
            name: "TestServers", dependencies: ["TestSockets"], path: "Tests/TestServers",
            swiftSettings: swiftSettings),
        tests(
            of: "Store", ["Polls", "CFaults", "CSQLite", "StoreChild", "TestServers", "Threads"]),
    ],
    cLanguageStandard: .gnu17
)
