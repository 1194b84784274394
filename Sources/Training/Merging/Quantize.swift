import Checkpoints
public import Diagnostics
import Layers
import Models
import Tensors

/// What is quantized into what.
public struct QuantizeSettings: Sendable, Hashable {
    /// The model's folder or name.
    public var base: String
    public var output: String
    public var quantization: QuantizationSettings
    /// Whether a model that lies in the output folder is replaced.
    public var overwrites: Bool

    public init(base: String, output: String, quantization: QuantizationSettings, overwrites: Bool) {
        self.base = base
        self.output = output
        self.quantization = quantization
        self.overwrites = overwrites
    }
}

/// What quantizing a model came to.
public struct QuantizeSummary: Sendable, Hashable {
    /// The layers that are kept in fewer bits now, their parameters, and the bytes that those take in the files.
    public var layerCount = 0
    public var parameterCount = 0
    public var quantizedByteCount = 0
    /// The bytes of all files of weights, before and after.
    public var byteCountBefore = 0
    public var byteCount = 0
    /// |W − Q| / |W| over all quantized weights.
    public var weightError = 0.0
    /// The largest difference of a probe's logits from those of the model before, relative to the largest logit.
    public var cost = 0.0
    /// The same from the quantized model in memory.
    public var difference = 0.0

    public var bitsPerParameter: Double { 8 * Double(quantizedByteCount) / Double(max(1, parameterCount)) }
}

/// Writes a model with its linear layers in fewer bits, as transformers and bitsandbytes write and read them. The folder
/// appears only once its files have given the same logits as the quantized model in memory.
///
/// Of floats no more than one weight is in memory.
///
/// - Throws: `Problem` or `Problems` for a model that can't be quantized, an output that is the model or exists, and a
///   result that differs.
public func quantize(_ settings: QuantizeSettings, warn: @escaping WarningSink) throws -> QuantizeSummary {
    let original = try BaseModel.load(settings.base, randomSeed: nil, warn: warn)
    if let stored = original.storedQuantization {
        throw Problem(
            "is quantized already (\(stored)): take the model that it was made from, or write its floats first with "
                + "'peft merge --base … --dequantize'", file: original.folder)
    }
    guard let weights = original.weights else { defect("quantize: a base without weights") }
    try weights.requireFinite()
    let output = try MergeOutput(
        settings.output, overwrites: settings.overwrites, base: original.folder, inputs: [original.folder], warn: warn)
    let probe = MergeProbe(original)
    let before = probe.logits(original.model)
    let base = try BaseModel.load(
        settings.base, randomSeed: nil, labels: original.labels, headSeed: 0, quantization: settings.quantization,
        warn: { _ in })
    if base.quantizedWeights.isEmpty {
        throw Problem("nothing is left to be quantized: every linear layer is skipped", file: base.folder)
    }
    var summary = QuantizeSummary()
    summary.measure(base.model, against: original.model)
    let plan = try MergedTensors(
        base: base, weights: weights, changed: [], elementType: nil, dequantizedTypes: nil)
    let written = try output.fill {
        try plan.write(to: output.stagingPath)
        try copyCompanions(
            of: base.folder, to: output.stagingPath, leavingOut: [], elementType: nil,
            changes: base.changedFields + base.quantizationFields)
        try TrainedTemplates.carry(from: [base.folder], to: output.stagingPath, warn: warn)
        return try BaseModel.load(output.stagingPath, randomSeed: nil, warn: { _ in })
    }
    let (expected, found) = (probe.logits(base.model), probe.logits(written.model))
    summary.cost = MergeProbe.difference(expected, before)
    summary.difference = MergeProbe.difference(found, expected)
    if !(summary.difference <= 1e-6) {
        throw Problem(
            "the written model isn't the quantized one: the logits of probe prompts differ by \(summary.difference) of the "
                + "largest; nothing was written", file: settings.output)
    }
    summary.byteCountBefore = weights.shards.reduce(0) { $0 + $1.byteCount }
    summary.byteCount = written.weights?.shards.reduce(0) { $0 + $1.byteCount } ?? 0
    try output.commit()
    return summary
}

extension QuantizeSummary {
    fileprivate mutating func measure(_ model: any LanguageModel, against original: any LanguageModel) {
        var (error, whole) = (0.0, 0.0)
        for (parameter, before) in zip(model.parameters, original.parameters) {
            guard let codes = parameter.value as? QuantizedTensor else { continue }
            layerCount += 1
            parameterCount += codes.count
            quantizedByteCount += OutgoingTensor.quantized(parameter.name, codes).reduce(0) { $0 + $1.byteCount }
            let (floats, exact) = (codes.floats, before.value.floats)
            for index in 0..<floats.count {
                let (value, difference) = (Double(exact.data[index]), Double(floats.data[index] - exact.data[index]))
                error += difference * difference
                whole += value * value
            }
            before.value.releasePages()
        }
        weightError = whole == 0 ? 0 : (error / whole).squareRoot()
    }
}
