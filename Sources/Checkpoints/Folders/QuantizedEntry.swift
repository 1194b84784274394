import Diagnostics
public import Tensors

/// How bitsandbytes names what lies beside codes.
enum QuantizedNames {
    /// What a weight's name ends in.
    static let weight = ".weight"
    private static let states = [".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4"]
    private static let constants = [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"]
    private static let ofLayer = [".SCB", ".weight_format"]

    /// The names that the text beside the 4-bit codes `name` may have.
    static func states(of name: String) -> [String] { states.map { name + $0 } }

    /// All names of what may lie beside the codes `name`.
    static func companions(of name: String) -> [String] {
        (constants + states).map { name + $0 } + ofLayer.map { name.dropLast(weight.count) + $0 }
    }

    /// Whether the tensor `name` holds codes, by what lies beside it.
    static func areCodes(_ name: String, exists: (String) -> Bool) -> Bool {
        guard name.hasSuffix(weight) else { return false }
        return states(of: name).contains(where: exists)
            || ofLayer.contains { exists(name.dropLast(weight.count) + $0) }
            || constants.prefix(2).contains { exists(name + $0) }
    }
}

/// What files say of a weight in 4 or 8 bits.
public struct QuantizedEntry: Sendable, Hashable {
    public let name: String
    public let quantization: Quantization
    /// [outputs, inputs].
    public let shape: [Int]
    /// The bytes of its codes and of all that tells what they mean.
    public let byteCount: Int
    /// The names of what tells it.
    public let companions: [String]

    public var count: Int { shape.reduce(1, *) }

    /// All of those in files that belong together, in their order.
    ///
    /// - Throws: `Problem` where a text beside codes can't be read.
    public static func all(in files: [SafetensorsFile]) throws -> [QuantizedEntry] {
        func file(_ name: String) -> SafetensorsFile? { files.first { $0.entry(named: name) != nil } }
        return try files.flatMap { own in
            try own.tensors.compactMap { tensor -> QuantizedEntry? in
                let exists = { (name: String) in own.entry(named: name) != nil || file(name) != nil }
                guard QuantizedNames.areCodes(tensor.name, exists: exists) else { return nil }
                let companions = QuantizedNames.companions(of: tensor.name).filter(exists)
                let bytes = companions.reduce(tensor.byteRange.count) {
                    $0 + (file($1)?.entry(named: $1)?.byteRange.count ?? 0)
                }
                let states = QuantizedNames.states(of: tensor.name)
                guard let name = states.first(where: exists), let holder = file(name) else {
                    if tensor.elementType == .signed8 {
                        return QuantizedEntry(
                            name: tensor.name, quantization: Quantization(.int8), shape: tensor.shape, byteCount: bytes,
                            companions: companions)
                    }
                    throw Problem(
                        "is missing, without which the codes in \(tensor.name) mean nothing", file: own.path,
                        key: states[0])
                }
                let state = try QuantizationState(try holder.raw(named: name))
                guard let count = Int.product(of: state.shape), count / 2 <= bytes else {
                    throw Problem(
                        "says a shape of \(state.shape), and there are \(tensor.byteRange.count) bytes of codes",
                        file: holder.path, key: name)
                }
                var quantization = state.quantization
                quantization.isDouble = state.offset != nil
                return QuantizedEntry(
                    name: tensor.name, quantization: quantization, shape: state.shape, byteCount: bytes,
                    companions: companions)
            }
        }
    }
}
