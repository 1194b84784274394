import Batches
import Checkpoints
import Foundation
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Training

/// The Python of an environment with transformers.
private let python = ProcessInfo.processInfo.environment["PEFT_REFERENCE_PYTHON"]

@Suite("A merged model") struct MergeReferenceTests {
    @Test(
        "is one that transformers loads without a warning, with the same logits",
        .enabled(if: python != nil, "PEFT_REFERENCE_PYTHON names no Python with transformers"),
        arguments: ["all-linear", "bias-all", "saved-head-and-embedding"], [ElementType?.none, .bfloat16])
    func loads(name: String, type: ElementType?) throws {
        let scratch = try Scratch()
        let adapter = fixture("adapters/\(name)").path(percentEncoded: false)
        _ = try merge(
            MergeSettings(
                base: fixture("adapters/base").path(percentEncoded: false), adapters: [.init(path: adapter, weight: 1)],
                output: scratch("merged"), elementType: type, overwrites: false), warn: { _ in })
        let model = try BaseModel.load(scratch("merged"), randomSeed: nil, warn: { _ in }).model
        let ids = (0..<20).map { Int32($0 * 31 % 97) }
        let logits = model.logits(TokenBatch(sequences: [ids]), rows: nil, .inference())
        let rows = (0..<ids.count).map { row in
            JSONValue.array(logits.values[row * 97..<(row + 1) * 97].map { .number(Double($0)) })
        }
        let expected: JSONValue = [
            "sequences": [["ids": .array(ids.map { .integer(Int($0)) }), "logits": .array(rows)]]
        ]
        try scratch.write(expected.text(.compact), to: "logits.json")
        let process = Process()
        process.executableURL = URL(filePath: try #require(python))
        process.arguments = [
            repositoryRoot.appending(path: "scripts/check_model.py").path(percentEncoded: false), scratch("merged"),
            scratch("logits.json"),
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(said)")
    }
}
