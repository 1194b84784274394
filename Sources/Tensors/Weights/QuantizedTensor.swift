import CVectors
import Diagnostics

/// The weight of a linear layer in 4 or 8 bits, W [outputs, inputs], which a product makes floats of block by block.
///
/// Where rows are whole blocks, the codes lie in panels of 64 outputs, in which both products find what they need one
/// behind the other; the scales lie as in files.
public final class QuantizedTensor: StoredTensor, @unchecked Sendable {
    /// [outputs, inputs], or [inputs, outputs] where the model keeps it so.
    public let shape: [Int]
    /// Whether `shape` is that of the transpose, as GPT-2's Conv1D has it.
    public let isInputByOutput: Bool
    public let quantization: Quantization
    /// What the weight was before, `float32`, `float16` or `bfloat16`, for files that say so.
    public let originalType: String
    /// What it was made of here, where that lies in a mapped file, so that it takes no memory.
    public let source: (any StoredTensor)?
    private let memory: CodeMemory
    private let scaleMemory: CodeMemory
    /// Valid while this lives.
    let codes: peft_quantized

    /// - Parameters:
    ///   - rows: The codes of W by rows, two of 4 bits in a byte, the first in its upper half.
    ///   - scales: As many as blocks, or rows of 8 bits.
    public convenience init(
        _ rows: UnsafeRawBufferPointer, _ scales: QuantizedScales, _ quantization: Quantization, outputs: Int,
        inputs: Int, isInputByOutput: Bool, originalType: String
    ) {
        require(
            rows.count == Self.byteCount(quantization, outputs * inputs),
            "QuantizedTensor: \(rows.count) bytes for [\(outputs), \(inputs)]")
        let isInPanels = Self.suitsPanels(quantization, inputs: inputs)
        let memory = Self.memory(quantization, outputs: outputs, inputs: inputs, isInPanels: isInPanels)
        if isInPanels {
            nonisolated(unsafe) let source = rows
            WorkerPool.shared.run((outputs + 63) / 64) { panel in
                let range = panel * 64..<min(outputs, panel * 64 + 64)
                guard let base = source.baseAddress else { return }
                let start = Self.byteCount(quantization, range.lowerBound * inputs)
                Self.fill(memory, panel, base + start, range.count, inputs, quantization)
            }
        } else {
            memory.bytes.copyMemory(from: rows)
        }
        self.init(
            memory, scales, quantization, outputs: outputs, inputs: inputs, isInputByOutput: isInputByOutput,
            isInPanels: isInPanels, originalType: originalType, source: nil)
    }

    private init(
        _ memory: CodeMemory, _ scales: QuantizedScales, _ quantization: Quantization, outputs: Int, inputs: Int,
        isInputByOutput: Bool, isInPanels: Bool, originalType: String, source: (any StoredTensor)?
    ) {
        let blocks = quantization.format == .int8 ? outputs : Self.blockCount(quantization, outputs * inputs)
        require(Quantization.blockSizes.contains(quantization.blockSize), "QuantizedTensor: \(quantization)")
        require(scales.count == blocks, "QuantizedTensor: \(scales.count) scales for \(blocks) blocks")
        shape = isInputByOutput ? [inputs, outputs] : [outputs, inputs]
        self.isInputByOutput = isInputByOutput
        self.quantization = quantization
        self.originalType = originalType
        self.source = source
        self.memory = memory
        var codes = peft_quantized()
        codes.codes = UnsafePointer(memory.codes)
        (codes.outputs, codes.inputs) = (outputs, inputs)
        codes.block_shift = Int32(quantization.blockSize.trailingZeroBitCount)
        codes.bits = Int32(quantization.bitsPerElement)
        codes.in_panels = isInPanels ? 1 : 0
        if let book = Codebook.of(quantization.format) { peft_set_table(&codes, book.values) }
        switch scales {
        case .floats(let floats):
            let scaleMemory = CodeMemory(count: 4 * floats.count)
            floats.withUnsafeBytes { scaleMemory.bytes.copyMemory(from: $0) }
            self.scaleMemory = scaleMemory
            codes.scales = UnsafeRawPointer(scaleMemory.codes).assumingMemoryBound(to: Float.self)
        case .nested(let scaleCodes, let nested, let map, let offset):
            require(
                map.count == 256 && nested.count == (scaleCodes.count + 255) / 256, "QuantizedTensor: nested scales")
            scaleMemory = CodeMemory(count: 4 * (nested.count + map.count) + scaleCodes.count)
            let floats = UnsafeMutableRawPointer(scaleMemory.codes).assumingMemoryBound(to: Float.self)
            floats.update(from: map, count: map.count)
            (floats + map.count).update(from: nested, count: nested.count)
            let rest = UnsafeMutableRawPointer(floats + map.count + nested.count).assumingMemoryBound(to: UInt8.self)
            rest.update(from: scaleCodes, count: scaleCodes.count)
            codes.scale_map = UnsafePointer(floats)
            codes.nested_scales = UnsafePointer(floats + map.count)
            codes.scale_codes = UnsafePointer(rest)
            codes.offset = offset
        }
        self.codes = codes
    }

    public var inputSize: Int { shape[isInputByOutput ? 0 : 1] }
    public var outputSize: Int { shape[isInputByOutput ? 1 : 0] }

    /// The bytes of codes and scales in memory.
    public var byteCount: Int { memory.bytes.count + scaleMemory.bytes.count }

    private var blockCount: Int {
        quantization.format == .int8 ? outputSize : Self.blockCount(quantization, outputSize * inputSize)
    }

    /// A copy of what the codes are multiplied by.
    public var scales: QuantizedScales {
        func floats(_ start: UnsafePointer<Float>?, _ count: Int) -> [Float] {
            Array(UnsafeBufferPointer(start: start, count: count))
        }
        let count = blockCount
        guard let scaleCodes = codes.scale_codes else { return .floats(floats(codes.scales, count)) }
        return .nested(
            codes: Array(UnsafeBufferPointer(start: scaleCodes, count: count)),
            scales: floats(codes.nested_scales, (count + 255) / 256), map: floats(codes.scale_map, 256),
            offset: codes.offset)
    }

    // MARK: Sizes

    /// The bytes of `count` codes.
    public static func byteCount(_ quantization: Quantization, _ count: Int) -> Int {
        quantization.format == .int8 ? count : (count + 1) / 2
    }

    /// The blocks of `count` elements of 4 bits.
    public static func blockCount(_ quantization: Quantization, _ count: Int) -> Int {
        (count + quantization.blockSize - 1) / quantization.blockSize
    }

    private static func suitsPanels(_ quantization: Quantization, inputs: Int) -> Bool {
        inputs > 0 && inputs % min(64, quantization.format == .int8 ? 64 : quantization.blockSize) == 0
    }

    private static func memory(
        _ quantization: Quantization, outputs: Int, inputs: Int, isInPanels: Bool
    ) -> CodeMemory {
        CodeMemory(count: byteCount(quantization, (isInPanels ? (outputs + 63) / 64 * 64 : outputs) * inputs))
    }

    private static func fill(
        _ memory: CodeMemory, _ panel: Int, _ rows: UnsafeRawPointer, _ outputs: Int, _ inputs: Int,
        _ quantization: Quantization
    ) {
        peft_codes_to_panel(
            rows.assumingMemoryBound(to: UInt8.self), outputs, inputs, Int32(quantization.bitsPerElement),
            Codebook.of(quantization.format)?.zero ?? 0,
            memory.codes + panel * byteCount(quantization, 64 * inputs))
    }

    // MARK: Quantization

    /// A weight in fewer bits, [inputs, outputs] or [outputs, inputs] as in a model; the first element that can't be
    /// quantized, because it isn't finite or, for 8 bits, larger than 16-bit floats are, stops it.
    public static func quantizing(
        _ source: any StoredTensor, isInputByOutput: Bool, _ quantization: Quantization, originalType: String
    ) throws(NonFiniteElement) -> QuantizedTensor {
        require(source.shape.count == 2, "QuantizedTensor: shape \(source.shape)")
        let (outputs, inputs) =
            isInputByOutput ? (source.shape[1], source.shape[0]) : (source.shape[0], source.shape[1])
        let isInPanels = suitsPanels(quantization, inputs: inputs)
        let memory = memory(quantization, outputs: outputs, inputs: inputs, isInPanels: isInPanels)
        let blocks = quantization.format == .int8 ? outputs : blockCount(quantization, outputs * inputs)
        let magnitudes = Tensor(uninitialized: [blocks])
        // Rows that end amid a block are quantized in one go.
        let band =
            isInPanels && inputs % max(1, quantization.blockSize) == 0 || quantization.format == .int8 ? 64 : outputs
        let target = memory
        nonisolated(unsafe) let reader = RowReader(source, isInputByOutput: isInputByOutput)
        WorkerPool.shared.run(band == 0 ? 0 : (outputs + band - 1) / band) { index in
            let range = index * band..<min(outputs, (index + 1) * band)
            let count = range.count * inputs
            let copy = reader.mapped(range) == nil ? Tensor(uninitialized: [range.count, inputs]) : nil
            if let copy { reader.read(range, to: copy.data) }
            guard let rows = reader.mapped(range) ?? copy.map({ UnsafePointer($0.data) }) else { return }
            let bytes = byteCount(quantization, count)
            defer { withExtendedLifetime(copy) {} }
            let scratch = isInPanels ? CodeMemory(count: bytes) : nil
            let codes = scratch?.codes ?? target.codes + byteCount(quantization, range.lowerBound * inputs)
            if let book = Codebook.of(quantization.format) {
                peft_quantize_blocks(
                    rows, count, quantization.blockSize, book.bounds, book.order, codes,
                    magnitudes.data + range.lowerBound * inputs / quantization.blockSize)
            } else {
                for (place, row) in range.enumerated() {
                    magnitudes.data[row] = UnsafeMutableRawPointer(codes + place * inputs).withMemoryRebound(
                        to: Int8.self, capacity: inputs
                    ) { peft_quantize_row(rows + place * inputs, inputs, $0) }
                }
            }
            if isInPanels {
                for first in stride(from: 0, to: range.count, by: 64) {
                    fill(
                        target, (range.lowerBound + first) / 64, codes + byteCount(quantization, first * inputs),
                        min(64, range.count - first), inputs, quantization)
                }
            }
        }
        if !magnitudes.values.allSatisfy(\.isFinite), let element = unusable(source, quantization) { throw element }
        return QuantizedTensor(
            memory,
            quantization.isDouble ? .nesting(magnitudes.values, offset: nil) : .floats(magnitudes.values), quantization,
            outputs: outputs, inputs: inputs, isInputByOutput: isInputByOutput, isInPanels: isInPanels,
            originalType: originalType, source: source.isMapped ? source : nil)
    }

    private static func unusable(_ source: any StoredTensor, _ quantization: Quantization) -> NonFiniteElement? {
        if let element = source.firstNonFinite { return element }
        let floats = source.floats
        return (0..<floats.count).first { !Float16(floats.data[$0]).isFinite }.map {
            NonFiniteElement(index: $0, shape: source.shape, value: floats.data[$0])
        }
    }

    // MARK: What it holds

    /// The codes of W by rows, as files have them.
    public func codesByRows() -> [UInt8] {
        let (outputs, inputs) = (outputSize, inputSize)
        return [UInt8](unsafeUninitializedCapacity: Self.byteCount(quantization, outputs * inputs)) { target, count in
            count = target.count
            guard let base = target.baseAddress else { return }
            if codes.in_panels == 0 { return base.update(from: memory.codes, count: target.count) }
            nonisolated(unsafe) let rows = base
            WorkerPool.shared.run((outputs + 63) / 64) { panel in
                peft_codes_from_panel(
                    memory.codes + panel * Self.byteCount(quantization, 64 * inputs), min(64, outputs - panel * 64),
                    inputs, Int32(quantization.bitsPerElement),
                    rows + Self.byteCount(quantization, panel * 64 * inputs))
            }
        }
    }

    public var floats: Tensor {
        let (outputs, inputs) = (outputSize, inputSize)
        let tensor = Tensor(uninitialized: shape)
        WorkerPool.shared.run((outputs + 63) / 64) { panel in
            let range = panel * 64..<min(outputs, panel * 64 + 64)
            var codes = codes
            if !isInputByOutput {
                return peft_unpack_rows(&codes, range.lowerBound, range.count, tensor.data + range.lowerBound * inputs)
            }
            let rows = TensorStorage(shape: [range.count, inputs])
            peft_unpack_rows(&codes, range.lowerBound, range.count, rows.base)
            for input in 0..<inputs {
                let target = tensor.data + input * outputs + range.lowerBound
                for place in 0..<range.count { target[place] = rows.base[place * inputs + input] }
            }
        }
        return tensor
    }

    public func weight(isInputByOutput: Bool) -> any BaseWeight {
        require(isInputByOutput == self.isInputByOutput, "QuantizedTensor: a weight by the other side")
        return QuantizedWeight(self)
    }

    public var firstNonFinite: NonFiniteElement? {
        if scales.values.allSatisfy(\.isFinite) { return nil }
        return floats.firstNonFinite
    }

    public var lender: (any MemoryLender)? { nil }
    public func releasePages() {}

    public func copyRow(_ index: Int, to target: UnsafeMutablePointer<Float>) {
        require(index >= 0 && index < rowCount, "copyRow: row \(index) of \(shape)")
        var codes = codes
        for column in 0..<columnCount {
            target[column] =
                isInputByOutput
                ? peft_quantized_element(&codes, column, index) : peft_quantized_element(&codes, index, column)
        }
    }

    public func addRow(_ index: Int, to target: UnsafeMutablePointer<Float>) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columnCount) { row in
            guard let row = row.baseAddress else { return }
            copyRow(index, to: row)
            addRows(target, row, into: target, count: columnCount)
        }
    }
}

/// Some of W's rows as floats, however the weight is kept.
private struct RowReader {
    private let source: any StoredTensor
    private let isInputByOutput: Bool

    init(_ source: any StoredTensor, isInputByOutput: Bool) {
        self.source = source
        self.isInputByOutput = isInputByOutput
    }

    /// The rows where they lie as floats; nil where they have to be read.
    func mapped(_ outputs: Range<Int>) -> UnsafePointer<Float>? {
        guard !isInputByOutput, let tensor = source as? Tensor else { return nil }
        return UnsafePointer(tensor.data + outputs.lowerBound * tensor.shape[1])
    }

    /// rows [some outputs, inputs] of W [outputs, inputs].
    func read(_ outputs: Range<Int>, to rows: UnsafeMutablePointer<Float>) {
        let inputs = source.shape[isInputByOutput ? 0 : 1]
        if !isInputByOutput {
            for (place, row) in outputs.enumerated() { source.copyRow(row, to: rows + place * inputs) }
            return
        }
        let stride = source.shape[1]
        // Eight columns of eight rows at once, so that a line of memory is read once.
        let halves = (source as? HalfTensor).map { ($0.data, $0.format) }
        let floats = (source as? Tensor)?.data
        let block = TensorStorage(shape: [8, outputs.count])
        for first in Swift.stride(from: 0, to: inputs, by: 8) {
            let count = min(8, inputs - first)
            for place in 0..<count {
                let start = (first + place) * stride + outputs.lowerBound
                if let floats {
                    (block.base + place * outputs.count).update(from: floats + start, count: outputs.count)
                } else if let halves {
                    halves.1.convert(halves.0 + start, to: block.base + place * outputs.count, count: outputs.count)
                }
            }
            for row in 0..<outputs.count {
                for place in 0..<count { rows[row * inputs + first + place] = block.base[place * outputs.count + row] }
            }
        }
        if floats == nil, halves == nil {
            let whole = source.floats
            for (place, row) in outputs.enumerated() {
                for input in 0..<inputs { rows[place * inputs + input] = whole.data[input * stride + row] }
            }
        }
    }
}
