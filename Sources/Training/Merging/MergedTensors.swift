import Checkpoints
import Layers
import Models
import Tensors

/// The tensors of a merged model as they are written: in the base's files, under the base's names.
struct MergedTensors {
    private let shards: [ModelWeights.OutgoingShard]
    private let isSharded: Bool
    /// The largest difference of logits, relative to the largest, that the rounding of the written types explains.
    let bound: Double

    /// - Parameters:
    ///   - changed: The names of the parameters that are others than in the files.
    ///   - elementType: The type of all weights that aren't written in fewer bits; nil keeps each tensor's own.
    ///   - dequantizedTypes: What weights in 4 or 8 bits are written as, by the model's names; nil writes those that the model
    ///     has so as they are.
    init(
        base: BaseModel, weights: ModelWeights, changed: Set<String>, elementType: ElementType?,
        dequantizedTypes: [String: ElementType]?
    ) throws {
        let model = base.model
        let names = CheckpointParameters(weights, 0, type(of: model))
        let headName = type(of: model).headPath + ".weight"
        let copies = type(of: model).tokenTableCopies
        var parameters = Dictionary(
            model.parameters.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        let storedHead = model.taskHead == nil ? model.storedHead : nil
        if let storedHead { parameters[headName] = storedHead }
        if model.isHeadTied, storedHead == nil { parameters[headName] = model.tokenEmbedding.value }
        // Another one than the model computes with, where files say otherwise what its input is.
        let isHeadRewritten = storedHead.map { $0 !== model.head.weight.value } ?? false
        var coarsest = 0.0
        let quantizedNames = weights.quantizedNames
        /// Whether codes of the file are written as they are.
        func keepsCodes(_ weight: String) -> Bool {
            let name = names.modelName(weight)
            return dequantizedTypes == nil && !changed.contains(name) && parameters[name] is QuantizedTensor
        }
        func outgoing(_ raw: RawTensor) -> [OutgoingTensor] {
            if let weight = quantizedNames[raw.name] {
                return keepsCodes(weight) ? [OutgoingTensor(raw.name, raw)] : []
            }
            let fileName = names.modelName(raw.name)
            let name = copies.contains(fileName) ? model.tokenEmbedding.name : fileName
            // What is no parameter, an old checkpoint's mask say, stays as it is.
            guard let parameter = parameters[name] else { return [OutgoingTensor(raw.name, raw)] }
            if dequantizedTypes == nil, let codes = parameter as? QuantizedTensor {
                return weights.isQuantized(raw.name) && keepsCodes(raw.name)
                    ? [OutgoingTensor(raw.name, raw)] : OutgoingTensor.quantized(raw.name, codes)
            }
            let isChanged =
                changed.contains(name) || parameter is QuantizedTensor || dequantizedTypes?[name] != nil
                || name == headName
                    && (isHeadRewritten || model.isHeadTied && changed.contains(model.tokenEmbedding.name))
            let type = elementType ?? dequantizedTypes?[name] ?? Self.written(raw.elementType)
            if !isChanged, type == raw.elementType { return [OutgoingTensor(raw.name, raw)] }
            coarsest = max(coarsest, Self.roundoff(type))
            return [OutgoingTensor(raw.name, shape: parameter.shape, as: type) { parameter.floats }]
        }
        var shards = try zip(weights.shardNames, weights.shards).map { name, file in
            ModelWeights.OutgoingShard(
                name: name,
                tensors: try file.tensors.filter { model.taskHead == nil || names.modelName($0.name) != headName }
                    .flatMap { outgoing(try file.raw(named: $0.name)) })
        }
        // A head that has a weight of its own now, or the table where the file has it under the head's name alone.
        let table = names.fileName(model.tokenEmbedding.name)
        let shared = weights.entry(named: table) ?? weights.entry(named: names.fileName(headName))
        let head = model.taskHead?.name ?? headName
        let hasTable = ([table] + copies.map(names.fileName)).contains { weights.entry(named: $0) != nil }
        let hasHead = weights.entry(named: names.fileName(head)) != nil
        let isOwn = !model.isHeadTied || storedHead != nil
        for (name, fileName, isThere) in [
            (head, names.fileName(head), hasHead), (model.tokenEmbedding.name, table, hasTable),
        ]
        where isOwn && !isThere && !shards.isEmpty {
            guard let parameter = parameters[name] else { continue }
            let type = elementType ?? Self.written(shared?.elementType ?? .float32)
            coarsest = max(coarsest, Self.roundoff(type))
            shards[shards.count - 1].tensors.append(
                OutgoingTensor(fileName, shape: parameter.shape, as: type) { parameter.floats })
        }
        self.shards = shards
        isSharded = weights.isSharded
        bound = max(1e-4, 8 * coarsest)
    }

    var tensorCount: Int { shards.reduce(0) { $0 + $1.tensors.count } }

    func write(to folder: String) throws {
        if isSharded {
            try ModelWeights.write(shards, to: folder)
        } else {
            try ModelWeights.write(shards.flatMap(\.tensors), to: folder)
        }
    }

    /// The type that a changed tensor is written in: its own, or F32 where its own isn't one that is written.
    private static func written(_ type: ElementType) -> ElementType {
        [.float16, .bfloat16].contains(type) ? type : .float32
    }

    /// Half the distance of neighbouring numbers, relative to them.
    private static func roundoff(_ type: ElementType) -> Double {
        switch type {
        case .float16: 0x1p-11
        case .bfloat16: 0x1p-8
        default: 0x1p-24
        }
    }
}
