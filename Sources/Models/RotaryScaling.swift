import Batches
import Configuration
import Diagnostics
import Glibc
import Tensors

/// The angles of rotary position embeddings, as `config.json` names them: pair j of position p turns by p · f_j, by default
/// f_j = theta^(−2j / size).
struct RotaryScaling {
    /// f
    let frequencies: [Float]
    /// What cosines and sines are multiplied by.
    let factor: Float
    /// The fields that were taken, as text.
    let description: String

    private enum Kind: String, CaseIterable {
        case plain = "default"
        case linear, dynamic, llama3, yarn
    }

    /// Reads `rope_parameters`, as transformers 5 writes it, or `rope_scaling` and `rope_theta` as 4 did; where both stand
    /// there `rope_scaling` counts, as in transformers.
    ///
    /// - Parameters:
    ///   - positionCount: `max_position_embeddings`.
    ///   - thetaKey: The family's own name for `rope_theta` outside of `rope_parameters`.
    ///   - partKey: The family's own name for `partial_rotary_factor`; nil where whole heads turn.
    ///   - part: The share of a head's columns that turn where nothing is said.
    init(
        _ section: ConfigSection, headSize: Int, positionCount: Int, thetaKey: String = "rope_theta",
        partKey: String? = nil, part: Double = 1, warn: WarningSink
    ) {
        let key = section.has("rope_scaling") ? "rope_scaling" : "rope_parameters"
        if section.has("rope_scaling"), section.has("rope_parameters") {
            section.section("rope_parameters").ignoreUnread()
            var problem = section.problem("replaces rope_parameters, as in transformers", at: "rope_scaling")
            problem.severity = .warning
            warn(problem)
        }
        let outer = section.double(thetaKey, default: 10_000, in: Above(0))
        let outerPart = partKey.map { section.double($0, default: part, in: 0...1) } ?? 1
        guard section.has(key) else {
            let size = Self.size(headSize, outerPart, section, partKey)
            (frequencies, factor) = (Self.plain(outer, size), 1)
            description = "rope theta \(outer)" + (size < headSize ? ", \(size) columns" : "")
            return
        }
        let rope = section.section(key)
        let share = rope.double("partial_rotary_factor", default: outerPart, in: 0...1)
        let theta = rope.double("rope_theta", default: outer, in: Above(0))
        let kind: Kind
        if rope.has("rope_type") || !rope.has("type") {
            kind = rope.choice("rope_type", default: Kind.plain)
            _ = rope.optionalString("type")
        } else {
            kind = rope.choice("type", default: Kind.plain)
        }
        // Families whose whole heads turn pass over the share where they compute the angles themselves.
        let isIgnored = partKey == nil && kind == .plain
        if partKey == nil, !isIgnored, share != 1 {
            rope.record("a part of each head can't turn in this family", at: "partial_rotary_factor")
        }
        let size = Self.size(headSize, isIgnored ? 1 : share, rope, "partial_rotary_factor")
        let plain = Self.plain(theta, size)
        let scale = kind == .plain || kind == .dynamic ? rope.double("factor", default: 1) : Self.factor(rope)
        let original = rope.int(
            "original_max_position_embeddings", default: positionCount, in: 1...(1 << 30))
        switch kind {
        case .plain, .dynamic:
            // The dynamic form changes beyond the positions that the model takes here.
            (frequencies, factor) = (plain, 1)
        case .linear:
            (frequencies, factor) = (plain.map { $0 / Float(scale) }, 1)
        case .llama3:
            let low = rope.double("low_freq_factor", default: 1, in: Above(0))
            let high = rope.double("high_freq_factor", default: 4, in: Above(0))
            (frequencies, factor) = (Self.llama3(plain, scale, low, high, original), 1)
        case .yarn:
            (frequencies, factor) = Self.yarn(rope, plain, theta, scale, size, original)
        }
        rope.ignoreUnread()
        description =
            "rope \(kind.rawValue), theta \(theta), factor \(scale), frequencies \(frequencies.last ?? 0)"
            + (size < headSize ? ", \(size) columns" : "")
    }

    /// The columns of a head that turn.
    private static func size(_ headSize: Int, _ share: Double, _ section: ConfigSection, _ key: String?) -> Int {
        let size = Int(clamping: Double(headSize) * share)
        if size % 2 != 0, let key, share != 1 {
            section.record("makes \(size) columns of a head turn, which don't go by twos", at: key)
        }
        return size
    }

    private static func factor(_ rope: ConfigSection) -> Double {
        if !rope.has("factor") { rope.record("is missing", at: "factor") }
        return rope.double("factor", default: 1, in: Above(0))
    }

    private static func plain(_ theta: Double, _ size: Int) -> [Float] {
        stride(from: 0, to: size, by: 2).map { 1 / powf(Float(theta), Float($0) / Float(size)) }
    }

    /// Llama 3.1: long waves are stretched, short ones stay, those between are mixed.
    private static func llama3(
        _ plain: [Float], _ factor: Double, _ low: Double, _ high: Double, _ original: Int
    ) -> [Float] {
        let (longest, shortest) = (Float(Double(original) / low), Float(Double(original) / high))
        return plain.map { frequency in
            let wave = 2 * Float.pi / frequency
            if wave > longest { return frequency / Float(factor) }
            if wave < shortest { return frequency }
            let smooth = (Float(original) / wave - Float(low)) / Float(high - low)
            return (1 - smooth) * frequency / Float(factor) + smooth * frequency
        }
    }

    /// YaRN (Peng et al. 2023): the ramp of section 3.2, and attention's temperature of 3.4.
    private static func yarn(
        _ rope: ConfigSection, _ plain: [Float], _ theta: Double, _ factor: Double, _ size: Int, _ original: Int
    ) -> ([Float], Float) {
        let fast = rope.double("beta_fast", default: 32, in: Above(0))
        let slow = rope.double("beta_slow", default: 1, in: Above(0))
        func dimension(_ rotations: Double) -> Double {
            Double(size) * log(Double(original) / (rotations * 2 * Double.pi)) / (2 * log(theta))
        }
        var (low, high) = (dimension(fast), dimension(slow))
        if rope.bool("truncate", default: true) { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        (low, high) = (max(low, 0), min(high, Double(size - 1)))
        if low == high { high += 0.001 }
        let frequencies = plain.enumerated().map { index, frequency in
            let ramp = min(max((Float(index) - Float(low)) / Float(high - low), 0), 1)
            return frequency / Float(factor) * ramp + frequency * (1 - ramp)
        }
        func scale(_ factor: Double, _ weight: Double) -> Double {
            factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1
        }
        if rope.has("attention_factor") {
            return (frequencies, Float(rope.double("attention_factor", default: 1, in: Above(0))))
        }
        let weights = ["mscale", "mscale_all_dim"].map { rope.has($0) ? rope.double($0, default: 0) : 0 }
        let attention =
            weights[0] != 0 && weights[1] != 0
            ? scale(factor, weights[0]) / scale(factor, weights[1]) : scale(factor, 1)
        return (frequencies, Float(attention))
    }
}

/// Cosines and sines of as many positions as were asked for so far.
final class RotaryPositions {
    private let scaling: RotaryScaling
    private var table: RotaryTable?

    init(_ scaling: RotaryScaling) { self.scaling = scaling }

    /// x [rows, heads · size], turned by the positions of the batch's rows.
    func turned(_ x: Tensor, _ batch: TokenBatch, _ heads: AttentionHeads) -> Tensor {
        let positions = batch.positions.map(Int.init)
        return rotary(
            x, positions: positions, table: table(upTo: (positions.max() ?? 0) + 1), headSize: heads.size)
    }

    /// A table with a row for each position below `count`.
    func table(upTo count: Int) -> RotaryTable {
        if let table, table.positionCount >= count { return table }
        let (rows, half) = (max(256, count, 2 * (table?.positionCount ?? 0)), scaling.frequencies.count)
        let (cosines, sines) = (Tensor(uninitialized: [rows, half]), Tensor(uninitialized: [rows, half]))
        for position in 0..<rows {
            for (pair, frequency) in scaling.frequencies.enumerated() {
                let angle = Float(position) * frequency
                cosines.data[position * half + pair] = cosf(angle) * scaling.factor
                sines.data[position * half + pair] = sinf(angle) * scaling.factor
            }
        }
        let made = RotaryTable(cosines: cosines, sines: sines)
        table = made
        return made
    }
}
