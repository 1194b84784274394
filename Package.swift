// swift-tools-version: 6.2
import PackageDescription

/// The strict settings that every target of ours shares.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// The kernels are written with `SIMD8<Float>` and need AVX2 and FMA, which the tool checks for before it calls them;
/// without `errno` from square roots these are vectorised too.
#if arch(x86_64)
let vectorised: [SwiftSetting] =
    strict + [.unsafeFlags(["-Xcc", "-march=x86-64-v3", "-Xcc", "-fno-math-errno", "-O"])]
#else
let vectorised: [SwiftSetting] = strict + [.unsafeFlags(["-Xcc", "-fno-math-errno", "-O"])]
#endif

func source(_ name: String, _ dependencies: [Target.Dependency], settings: [SwiftSetting] = strict) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies, swiftSettings: strict)
}

let package = Package(
    name: "peft",
    products: [.executable(name: "peft", targets: ["peft"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .target(
            name: "COpenBLAS",
            linkerSettings: [
                .unsafeFlags([
                    "-Xlinker", "-l:libopenblas.a", "-Xlinker", "--wrap=getenv", "-Xlinker", "--wrap=mmap",
                ]), .linkedLibrary("m"),
            ]),
        .target(name: "CHost", linkerSettings: [.unsafeFlags(["-Xlinker", "--wrap=malloc"])]),
        source("Host", ["CHost"]),
        source("Diagnostics", []),
        // Optimised in debug builds too, whose tests would wait for it.
        .target(name: "CVectors", cSettings: [.unsafeFlags(["-O2"])]),
        source("Tensors", ["COpenBLAS", "CVectors", "Host", "Diagnostics"], settings: vectorised),
        source("Charts", ["Diagnostics"]),
        source("Patterns", []),
        source("Batches", ["Diagnostics"]),
        source("Ranks", ["Host", "Diagnostics"]),
        source("Files", ["Diagnostics"]),
        source("JSONText", ["Files", "Diagnostics"]),
        source("Configuration", ["Files", "Host", "Diagnostics", "JSONText", "Yams"]),
        source("Tokenizers", ["Files", "Diagnostics", "JSONText"]),
        source("ChatTemplates", ["Files", "Diagnostics", "JSONText"]),
        source("Checkpoints", ["Files", "Tensors", "JSONText", "Host", "Diagnostics"]),
        source("Layers", ["Tensors", "Batches", "Checkpoints", "Diagnostics"]),
        source("Models", ["Layers", "Tensors", "Batches", "Configuration", "Diagnostics"]),
        source(
            "Methods", ["Layers", "Tensors", "Configuration", "Checkpoints", "Patterns", "Diagnostics", "JSONText"]),
        source(
            "Datasets",
            [
                "ChatTemplates", "Files", "Tokenizers", "Batches", "Configuration", "Patterns", "Host", "Diagnostics",
                "JSONText",
            ]),
        source("Metrics", ["ChatTemplates", "Diagnostics"]),
        source(
            "Training",
            [
                "ChatTemplates", "Files", "Tensors", "Layers", "Models", "Methods", "Datasets", "Metrics",
                "Checkpoints",
                "Configuration",
                "Tokenizers", "Batches", "Charts", "Patterns", "JSONText", "Ranks", "Host", "Diagnostics",
            ]),
        .executableTarget(
            name: "peft",
            dependencies: [
                "Training", "Ranks", "ChatTemplates", "Files", "Tensors", "Layers", "Models", "Methods", "Datasets",
                "Metrics",
                "Checkpoints",
                "Configuration", "Tokenizers", "Batches", "Charts", "JSONText", "Host", "Diagnostics",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        // What `make bench` runs; no part of the tool.
        .executableTarget(
            name: "peft-bench",
            dependencies: [
                "COpenBLAS", "Training", "Files", "Tensors", "Layers", "Models", "Methods", "Datasets", "Checkpoints",
                "Configuration", "Metrics",
                "Tokenizers", "Batches", "JSONText", "Diagnostics",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/Sources", swiftSettings: strict),

        .target(
            name: "TestSupport", dependencies: ["Tensors", "Files"], path: "Tests/TestSupport", swiftSettings: strict),
        tests("Host", []),
        tests("Ranks", ["Diagnostics"]),
        tests("Diagnostics", []),
        tests("Charts", []),
        tests("Patterns", []),
        tests("Tensors", ["CVectors", "Diagnostics"]),
        tests("Files", ["Diagnostics"]),
        tests("JSONText", ["Files", "Diagnostics"]),
        tests("Configuration", ["Diagnostics", "JSONText"]),
        tests("Tokenizers", ["Diagnostics", "JSONText"]),
        tests("ChatTemplates", ["Diagnostics", "JSONText"]),
        tests("Checkpoints", ["Files", "Tensors", "JSONText", "Diagnostics"]),
        tests("Layers", ["Tensors", "Batches", "Checkpoints", "Diagnostics"]),
        tests("Models", ["Layers", "Tensors", "Batches", "Checkpoints", "Configuration", "JSONText", "Diagnostics"]),
        tests(
            "Methods",
            [
                "Files", "Models", "Layers", "Tensors", "Batches", "Configuration", "Checkpoints", "Diagnostics",
                "JSONText",
            ]),
        tests(
            "Datasets", ["ChatTemplates", "Files", "Tokenizers", "Batches", "Configuration", "Diagnostics", "JSONText"]),
        tests("Metrics", ["JSONText"]),
        tests(
            "Training",
            [
                "Charts", "Files", "Models", "Methods", "Layers", "Tensors", "Batches", "Datasets", "Tokenizers",
                "Metrics", "Configuration", "Checkpoints", "Diagnostics", "JSONText",
            ]),
        // The tool as its users run it: the built binary on real files.
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "peft", "TestSupport", "Files", "Training", "Methods", "JSONText", "Checkpoints", "Tensors",
                "Configuration",
                "Diagnostics",
            ],
            swiftSettings: strict),
    ]
)
