import Batches
import Checkpoints
import Configuration
import Files
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// What `body` complains about, with `folder` cut out of the text; "no error" where it doesn't.
func complaint(in folder: String, _ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch {
        return "\(error)".replacing(folder + "/", with: "")
    }
}

extension BaseModel {
    /// A model folder whose loading must not warn.
    static func quietly(_ path: String) throws -> BaseModel {
        try load(path, randomSeed: nil, warn: { Issue.record("unexpected: \($0)") })
    }

    /// Installs an adapter to be used.
    func install(adapter path: String) throws -> any Installation {
        try install(
            AdapterFolder(path: path, warn: { Issue.record("unexpected: \($0)") }),
            InstallationContext(seed: 1, basePath: "base", isTraining: false))
    }

    /// - Parameter source: What an encoder reads, where the model has one.
    func logits(_ ids: [Int32], source: [Int32]? = nil) -> [Float] {
        var batch = TokenBatch(sequences: [ids])
        batch.source = source.map { SourceRows([$0]) }
        return model.logits(batch, rows: nil, .inference()).values
    }
}

extension Scratch {
    /// Writes the tensors of a file again, those that `change` gives, in the form `float32`.
    func rewrite(
        _ source: String, to name: String, _ change: ([(name: String, tensor: Tensor)]) throws -> [(String, Tensor)]
    ) throws {
        let file = try SafetensorsFile(path: source, warn: { _ in })
        let tensors = try file.tensors.map { (name: $0.name, tensor: try file.tensor(named: $0.name)) }
        try SafetensorsWriter.write(
            change(tensors).map { OutgoingTensor($0.0, $0.1, as: .float32) }, to: self(name))
    }

    /// Copies a fixture's file.
    func copy(_ source: String, to name: String) throws {
        try write(FileSystem.text(of: fixture(source).path()), to: name)
    }
}

/// The largest difference relative to the largest number expected.
func relativeDifference(_ found: [Float], _ expected: [Double]) -> Double {
    guard found.count == expected.count else { return .infinity }
    let largest = expected.reduce(0) { max($0, $1.magnitude) }
    return zip(found, expected).reduce(0) { worst, pair in
        let difference = (Double(pair.0) - pair.1).magnitude / largest
        return difference <= worst ? worst : difference
    }
}

/// A method by its name, with settings as JSON.
func method(_ name: String, _ settings: String) throws -> any PEFTMethod {
    let section = try ConfigDocument(json: JSONNode.parse(settings)).root
    func make<Method: PEFTMethod>(_ type: Method.Type) throws -> any PEFTMethod {
        try type.init(section, startingFrom: nil)
    }
    let type = try #require(methods.first { $0.name == name }, "no method \(name)")
    return try make(type)
}
