import Diagnostics
import Layers
public import Tensors

/// The shapes of the tensors of an adapter's file, which a method looks at before it takes memory for its own.
public struct StoredShapes {
    public let file: String
    /// By the names that `Installation.load` gets.
    public let shapes: [String: [Int]]
    /// What may be in the file or not, because others than the method take it.
    var optional: Set<String> = []

    public init(_ tensors: [String: Tensor], file: String) {
        self.file = file
        shapes = tensors.mapValues(\.shape)
    }

    /// - Throws: `Problems` that list every missing, unexpected and misshapen tensor.
    func check(_ expected: [(name: String, shape: [Int])]) throws(Problems) {
        try checkShapes(shapes.filter { !optional.contains($0.key) }, expected, optional: optional, file: file)
    }
}

/// Compares the shapes of a file's tensors with those that are expected.
///
/// - Throws: `Problems` that list every missing, unexpected and misshapen tensor.
func checkShapes(
    _ found: [String: [Int]], _ expected: [(name: String, shape: [Int])], optional: Set<String> = [], file: String
) throws(Problems) {
    var problems: [Problem] = []
    var names: Set<String> = []
    for (name, shape) in expected where !optional.contains(name) {
        names.insert(name)
        guard let own = found[name] else {
            problems.append(Problem("is missing; shape \(shape) is expected", file: file, key: name))
            continue
        }
        if own != shape {
            problems.append(Problem("has shape \(own), but \(shape) is expected", file: file, key: name))
        }
    }
    for name in found.keys.sorted() where !names.contains(name) {
        problems.append(Problem("is unexpected: the configuration has no place for it", file: file, key: name))
    }
    if !problems.isEmpty { throw Problems(problems) }
}

extension InstallationContext {
    /// The seed of what begins at random; nil where everything comes from a file, so that nothing needs a beginning.
    var beginningSeed: UInt64? { stored == nil ? seed : nil }

    /// Compares what the method is about to make with the file that it will be loaded from, where there is one.
    ///
    /// - Parameter extras: Parameters of the model that the file holds too; they are put back where this throws.
    /// - Throws: `Problems` that list every missing, unexpected and misshapen tensor.
    func check(_ own: [(name: String, shape: [Int])], _ extras: ExtraParameters) throws(Problems) {
        guard let stored else { return }
        do {
            try stored.check(own + extras.shapes)
        } catch {
            extras.restore()
            throw error
        }
    }
}
