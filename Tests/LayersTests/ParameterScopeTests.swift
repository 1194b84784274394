import Diagnostics
import Layers
import Tensors
import Testing

@Suite("A parameter scope") struct ParameterScopeTests {
    /// A source that holds some tensors.
    private final class Table: ParameterSource {
        let tensors: [String: Tensor]
        let location: String? = "folder"
        let seed: UInt64 = 3
        var warnings: [Problem] = []
        init(_ shapes: [String: [Int]]) { tensors = shapes.mapValues { Tensor(repeating: 2, $0) } }
        var names: [String] { tensors.keys.sorted() }
        func tensor(named name: String, shape: [Int], _ initializer: Initializer) throws -> (any StoredTensor)? {
            if name == "broken" { throw Problem("can't be read", file: location, key: name) }
            return tensors[name]
        }
    }

    @Test("makes an optional tensor anew where there is none, and checks the shape of one that is there")
    func optional() throws {
        let root = ParameterScope(Table(["there": [2], "misshapen": [3]]))
        #expect(root.optional("there", [2], .constant(0)).tensor.values == [2, 2])
        let made = root["new"].optional("weight", [4, 2], .normal(standardDeviation: 0.5))
        let again = RandomParameters(seed: 3).tensor(
            named: "new.weight", shape: [4, 2], .normal(standardDeviation: 0.5))
        #expect(made.name == "new.weight" && made.tensor.values == again?.floats.values)
        _ = root.optional("misshapen", [4], .constant(0))
        let thrown = #expect(throws: Problems.self) { try root.finish { _ in false } }
        #expect(
            thrown?.list.map(\.description) == [
                "folder: error: misshapen: has shape [3], but the configuration asks for [4]"
            ])
    }

    @Test("gives the tensors that it is asked for by path and shape")
    func found() throws {
        let table = Table(["a.b.weight": [2, 3], "c": [1]])
        let root = ParameterScope(table)
        let weight = root["a"]["b"].parameter("weight", [2, 3], .constant(0))
        let c = root.parameter("c", [1], .constant(0))
        try root.finish { _ in false }
        #expect(root["a"]["b"].path == "a.b")
        #expect(weight.name == "a.b.weight" && weight.tensor === table.tensors["a.b.weight"])
        #expect(root.parameters.map(\.name) == ["a.b.weight", "c"])
        #expect(c.count == 1)
    }

    @Test("tells in one error of everything that is missing, misshapen, broken or left over")
    func problems() {
        let root = ParameterScope(
            Table(["a.weight": [2, 3], "a.bias": [4], "broken": [1], "extra": [1], "h.0.mask": [1], "more": [0]]))
        _ = root["a"].parameter("weight", [3, 2], .constant(0))
        _ = root["a"].parameter("bias", [4], .constant(0))
        _ = root["h"]["0"].parameter("scale", [5], .constant(0))
        // Too large for any memory: only the error counts.
        _ = root["h"].parameter("vast", [1 << 24, 1 << 24], .constant(0))
        _ = root.parameter("broken", [1], .constant(0))
        #expect {
            try root.finish { $0.hasSuffix(".mask") }
        } throws: { error in
            "\(error)" == """
                folder: error: a.weight: has shape [2, 3], but the configuration asks for [3, 2]
                folder: error: h.0.scale: is missing; the configuration asks for shape [5]
                folder: error: h.vast: is missing; the configuration asks for shape [16777216, 16777216]
                folder: error: broken: can't be read
                folder: error: extra: the model has no place for this tensor
                folder: error: more: the model has no place for this tensor
                """
        }
    }

    @Test("makes tensors from a seed, each from a stream of its own")
    func random() throws {
        func draw(_ names: [String], seed: UInt64) throws -> [[Float]] {
            let root = ParameterScope(RandomParameters(seed: seed))
            let values = names.map { root.parameter($0, [50], .normal(standardDeviation: 2)).tensor.values }
            try root.finish { _ in false }
            return values
        }
        let values = try draw(["a", "b"], seed: 1)
        #expect(try draw(["b", "a"], seed: 1) == values.reversed())
        #expect(values[0] != values[1])
        #expect(try draw(["a"], seed: 2)[0] != values[0])
        let constant = ParameterScope(RandomParameters(seed: 1)).parameter("c", [2, 2], .constant(0.5))
        #expect(constant.tensor.values == [0.5, 0.5, 0.5, 0.5])
    }
}
