public import Charts
import Diagnostics
import Files
import JSONText

/// The numbers of a run's `metrics.jsonl`, a column for each key.
///
/// A run that went on from a checkpoint, in a file that was put together from its parts, has taken the steps behind it
/// twice: what was taken last is what became of it, so that a line gives way to a later one of its step or one before.
public struct RunMetrics: Sendable {
    /// What a curve runs over.
    public enum Axis: String, CaseIterable, Sendable { case step, epoch, tokens, time }

    /// The lines of one kind.
    private struct Table {
        var steps: [Int] = []
        var columns: [[Double]] = []

        mutating func add(_ step: Int, _ values: [Double]) {
            while columns.count < values.count {
                columns.append([Double](repeating: .nan, count: steps.count))
            }
            steps.append(step)
            for (index, value) in values.enumerated() { columns[index].append(value) }
        }

        mutating func removeLines(where isOutdated: (Int) -> Bool) {
            while let last = steps.last, isOutdated(last) {
                steps.removeLast()
                for index in columns.indices { columns[index].removeLast() }
            }
        }
    }

    public static let fileName = "metrics.jsonl"
    private static let (tokensKey, secondsKey) = ("tokens", "elapsed_seconds")
    private static let mostKeys = 1000

    /// All keys but `step`, in the order in which they came.
    public private(set) var keys: [String] = []
    private var keyBytes: [[UInt8]] = []
    private var isKept: [Bool] = []
    private var training = Table()
    private var evaluations = Table()
    private let kept: Set<String>?

    /// None yet.
    ///
    /// - Parameter kept: The keys whose values are wanted, beside those of the axes; nil for all.
    init(keeping kept: Set<String>?) { self.kept = kept?.union(["epoch", Self.tokensKey, Self.secondsKey]) }

    /// Reads those of a run's folder. A last line without its end is still being written.
    public init(folder: String) throws {
        self.init(keeping: nil)
        let path = FileSystem.join(folder, Self.fileName)
        try FileBytes(path: path).withBytes { bytes in
            let isWhole = bytes.last == UInt8(ascii: "\n")
            for line in TextLines(bytes) where !line.range.isEmpty {
                do {
                    try add(UnsafeRawBufferPointer(rebasing: bytes[line.range]), file: path, line: line.number)
                } catch  where !isWhole && line.range.upperBound == bytes.count {}
            }
        }
    }

    public var isEmpty: Bool { training.steps.isEmpty && evaluations.steps.isEmpty }

    /// Takes in a line.
    mutating func add(_ bytes: UnsafeRawBufferPointer, file: String?, line: Int) throws {
        var reader = JSONReader(bytes, file: file, line: line)
        var step: Int?
        var isEvaluation = false
        var values = [Double](repeating: .nan, count: keys.count)
        var next = 0
        try reader.readObject { reader, key in
            if key.matches("step") {
                step = try reader.readInteger()
                return
            }
            let index = column(key, &next)
            // Each is a column, and so a file of nothing but different keys would take memory by its length squared.
            if index >= Self.mostKeys {
                throw Problem(
                    "more than \(Self.mostKeys.grouped) different keys: these aren't a run's metrics", file: file,
                    position: TextPosition(line: line, column: 1))
            }
            if key.starts(with: "eval_".utf8) { isEvaluation = true }
            guard isKept[index], try reader.peek() == .number else { return }
            if index >= values.count {
                values += [Double](repeating: .nan, count: index + 1 - values.count)
            }
            values[index] = try reader.readNumber()
        }
        try reader.finish()
        guard let step else {
            throw Problem("missing", file: file, position: TextPosition(line: line, column: 1), key: "step")
        }
        // An evaluation comes behind its step as a rule, and before it where that was found to be the last.
        training.removeLines { isEvaluation ? $0 > step : $0 >= step }
        evaluations.removeLines { isEvaluation ? $0 >= step : $0 > step }
        if isEvaluation { evaluations.add(step, values) } else { training.add(step, values) }
    }

    /// The number of a key's column; `next` is where it is looked for first, because most lines have the same order.
    private mutating func column(_ key: UnsafeRawBufferPointer, _ next: inout Int) -> Int {
        func isKey(_ index: Int) -> Bool { keyBytes[index].elementsEqual(key) }
        let found = next < keys.count && isKey(next) ? next : keys.indices.first(where: isKey)
        let index = found ?? keys.count
        if found == nil {
            keys.append(String(decoding: key, as: UTF8.self))
            keyBytes.append(Array(key))
            isKept.append(kept?.contains(keys[index]) ?? true)
        }
        next = index + 1
        return index
    }

    /// The keys that have a number somewhere.
    public var measured: [String] {
        keys.filter { key in
            [training, evaluations].contains { table in
                values(key, in: table).contains { !$0.isNaN }
            }
        }
    }

    private func values(_ key: String, in table: Table) -> [Double] {
        keys.firstIndex { sameBytes($0, key) }.flatMap { $0 < table.columns.count ? table.columns[$0] : nil } ?? []
    }

    /// The curve of a key; a line that hasn't got it has no point.
    public func points(of key: String, over axis: Axis = .step) -> [ChartPoint] {
        // What an evaluation repeats of the step before it is no second value.
        let own = [training, evaluations].first { table in values(key, in: table).contains { !$0.isNaN } }
        guard let table = own else { return [] }
        let places = places(of: table, axis)
        let points = zip(places, values(key, in: table)).compactMap { place, value in
            place.isNaN || value.isNaN ? nil : ChartPoint(x: place, y: value)
        }
        let isSorted = zip(points, points.dropFirst()).allSatisfy { $0.x <= $1.x }
        return isSorted ? points : points.sorted { $0.x < $1.x }
    }

    private func places(of table: Table, _ axis: Axis) -> [Double] {
        switch axis {
        case .step: return table.steps.map(Double.init)
        case .epoch: return values("epoch", in: table)
        case .time: return values(Self.secondsKey, in: table)
        case .tokens: break
        }
        // An evaluation doesn't count tokens; those before it do.
        let (tokens, steps) = (values(Self.tokensKey, in: training), training.steps)
        var (index, last) = (0, tokens.allSatisfy(\.isNaN) ? Double.nan : 0)
        return table.steps.map { step in
            while index < min(steps.count, tokens.count), steps[index] <= step {
                last = tokens[index].isNaN ? last : tokens[index]
                index += 1
            }
            return last
        }
    }

    /// The steps of a key's points, in their order.
    public func steps(of key: String) -> [Int] { points(of: key).map { Int(clamping: $0.x) } }

    /// Whether larger values of a key are better ones; nil where none are.
    public static func prefersGreater(_ key: String) -> Bool? {
        if key == "loss" || key == "eval_loss" || key == "eval_mse" { return false }
        if !key.hasPrefix("eval_") || ["eval_tokens", "eval_examples"].contains(key) { return nil }
        return !key.hasSuffix("loss")
    }
}
