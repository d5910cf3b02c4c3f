// swift-tools-version: 6.2
import PackageDescription

/// Our own C: GNU C17, every warning an error, optimised as the gateway's C is.
let cSettings: [CSetting] = [
    .define("_GNU_SOURCE"),
    .unsafeFlags(["-Wall", "-Wextra", "-Wshadow", "-Wvla", "-Werror"]),
    .unsafeFlags(["-O3"], .when(configuration: .release)),
]

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .unsafeFlags(["-warnings-as-errors"]),
]

/// The load generator and the limit it compares with. A package of its own: its dependencies stay
/// out of the gateway's build, and it speaks to a gateway over sockets only.
let package = Package(
    name: "PollStreamBenchmarks",
    products: [
        .executable(name: "pollstream-bench", targets: ["PollStreamBench"]),
        .executable(name: "pollstream-limit-send", targets: ["limit-server"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
    ],
    targets: [
        .target(name: "CLoad", path: "CSources/CLoad", cSettings: cSettings),
        .executableTarget(
            name: "limit-server", path: "Sources/limit-server", cSettings: cSettings,
            linkerSettings: [.linkedLibrary("crypto"), .linkedLibrary("uring")]),
        .executableTarget(
            name: "PollStreamBench",
            dependencies: [
                "CLoad",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: swiftSettings),
        .testTarget(name: "CLoadTests", dependencies: ["CLoad"], swiftSettings: swiftSettings),
        .testTarget(
            name: "PollStreamBenchTests", dependencies: ["PollStreamBench"],
            swiftSettings: swiftSettings),
    ],
    cLanguageStandard: .gnu17
)
