import Checkpoints
import JSONText
import Models
import Tensors

/// What the headers of safetensors files say together, and whether all of their numbers are some.
struct WeightFacts {
    struct TypeShare {
        let type: ElementType
        var tensorCount = 0
        var elementCount = 0
        var byteCount = 0
    }

    let files: [SafetensorsFile]
    /// The elements of all tensors but masks that old checkpoints store beside the parameters.
    let parameterCount: Int
    /// By type, the type with most bytes first.
    let types: [TypeShare]
    /// The tensors that hold NaN or infinite numbers, each with the first one.
    let broken: [(tensor: String, element: NonFiniteElement)]

    /// The weights in 4 or 8 bits.
    let quantized: [QuantizedEntry]

    /// The weights in 4 or 8 bits of one kind.
    struct QuantizedShare {
        let quantization: Quantization
        var weightCount = 0
        var elementCount = 0
        var byteCount = 0

        var bitsPerElement: Double { 8 * Double(byteCount) / Double(max(1, elementCount)) }
    }

    /// Whether an output layer's weight lies beside a token embedding and differs from it.
    let hasOwnHead: Bool

    var tensorCount: Int { files.reduce(0) { $0 + $1.tensors.count } }
    var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

    /// Throws a `Problem` where a tensor can't be read.
    init(_ files: [SafetensorsFile]) throws {
        self.files = files
        var shares: [ElementType: TypeShare] = [:]
        var parameterCount = 0
        quantized = try QuantizedEntry.all(in: files)
        let codes = Dictionary(quantized.map { ($0.name, $0.count) }, uniquingKeysWith: { first, _ in first })
        let companions = Set(quantized.flatMap(\.companions))
        for tensor in files.lazy.flatMap(\.tensors) {
            var share = shares[tensor.elementType] ?? TypeShare(type: tensor.elementType)
            share.tensorCount += 1
            share.elementCount += tensor.count
            share.byteCount += tensor.byteRange.count
            shares[tensor.elementType] = share
            if !Self.isMask(tensor), !companions.contains(tensor.name) {
                parameterCount += codes[tensor.name] ?? tensor.count
            }
        }
        self.parameterCount = parameterCount
        func stored(_ names: [String]) -> (any StoredTensor)? {
            for file in files {
                guard let name = names.first(where: { file.entry(named: $0) != nil }) else { continue }
                // Of a type without floats there is nothing to compare.
                return try? file.raw(named: name).stored()
            }
            return nil
        }
        let tables = (
            stored(architectures.flatMap { [$0.headPath + ".weight", $0.storedHeadPath + ".weight"] }),
            stored(architectures.flatMap { $0.tokenTableNames })
        )
        hasOwnHead = if case (let head?, let table?) = tables { !head.isEqual(to: table) } else { false }
        broken = try files.flatMap { file in
            try file.tensors.compactMap { tensor in
                try file.raw(named: tensor.name).nonFiniteElement.map { (tensor.name, $0) }
            }
        }
        types = shares.values.sorted { ($1.byteCount, $0.type.rawValue) < ($0.byteCount, $1.type.rawValue) }
    }

    /// By kind, in the order of the files.
    var quantizedShares: [QuantizedShare] {
        var shares: [QuantizedShare] = []
        for entry in quantized {
            let index = shares.firstIndex { $0.quantization == entry.quantization } ?? shares.count
            if index == shares.count { shares.append(QuantizedShare(quantization: entry.quantization)) }
            shares[index].weightCount += 1
            shares[index].elementCount += entry.count
            shares[index].byteCount += entry.byteCount
        }
        return shares
    }

    /// GPT-2's attention masks: `h.0.attn.bias` of shape [1, 1, 1024, 1024] and `h.0.attn.masked_bias`.
    private static func isMask(_ tensor: TensorEntry) -> Bool {
        tensor.name.hasSuffix(".attn.masked_bias") || tensor.name.hasSuffix(".attn.bias") && tensor.shape.count == 4
    }

    var json: [JSONValue.Member] {
        [
            .init("tensor_count", .integer(tensorCount)),
            .init("parameters", .integer(parameterCount)),
            .init("bytes", .integer(byteCount)),
            .init(
                "dtypes",
                .object(
                    types.map {
                        .init(
                            $0.type.rawValue,
                            [
                                "tensors": .integer($0.tensorCount), "elements": .integer($0.elementCount),
                                "bytes": .integer($0.byteCount),
                            ])
                    })),
            .init(
                "quantized",
                .array(
                    quantizedShares.map {
                        [
                            "type": .string($0.quantization.format.rawValue),
                            "blocksize": $0.quantization.format == .int8 ? nil : .integer($0.quantization.blockSize),
                            "double_quant": .boolean($0.quantization.isDouble), "weights": .integer($0.weightCount),
                            "parameters": .integer($0.elementCount), "bytes": .integer($0.byteCount),
                            "bits_per_parameter": .number($0.bitsPerElement),
                        ]
                    })),
            .init(
                "not_finite",
                .array(
                    broken.map {
                        [
                            "name": .string($0.tensor), "element": .array($0.element.place.map { .integer($0) }),
                            "value": .string($0.element.value.isNaN ? "nan" : "\($0.element.value)"),
                        ]
                    })),
            .init("files", .array(files.map(Self.json))),
        ]
    }

    private static func json(_ file: SafetensorsFile) -> JSONValue {
        let metadata = file.metadata.sorted { $0.key < $1.key }
        return [
            "path": .string(file.path), "bytes": .integer(file.byteCount),
            "metadata": .object(metadata.map { .init($0.key, .string($0.value)) }),
            "tensors": .array(
                file.tensors.map { tensor in
                    [
                        "name": .string(tensor.name), "dtype": .string(tensor.elementType.rawValue),
                        "shape": .array(tensor.shape.map { .integer($0) }),
                    ]
                }),
        ]
    }
}
