import Diagnostics
import Synchronization

/// One recorded operation, or a trainable tensor where it has no inputs.
public final class GradientNode: @unchecked Sendable {
    /// Adds to the input's gradient what the gradient of the operation's output contributes.
    typealias Pullback = (_ outputGradient: Tensor, _ inputGradient: inout Gradient) -> Void

    private static let recorded = Atomic<UInt64>(0)
    /// The order of the last node so far.
    static var lastOrder: UInt64 { recorded.load(ordering: .relaxed) }

    /// Grows along the computation: a node's inputs have smaller numbers.
    let order: UInt64
    fileprivate(set) var gradient = Gradient()
    fileprivate var inputs: [(node: GradientNode, pullback: Pullback)]
    /// Each input's place among all of the operation's, those included that need no gradient.
    fileprivate let places: [Int]
    fileprivate let label: OpTimer.Label

    init(inputs: [(node: GradientNode, pullback: Pullback)], places: [Int] = [], label: OpTimer.Label = .init(name: ""))
    {
        order = Self.recorded.add(1, ordering: .relaxed).newValue
        self.inputs = inputs
        self.places = places
        self.label = label
    }
}

/// The sum of the contributions to one tensor's gradient so far.
struct Gradient {
    fileprivate(set) var sum: Tensor?

    /// Adds `contribution`, which the caller may go on sharing with others.
    mutating func add(_ contribution: Tensor) {
        guard sum != nil else {
            sum = contribution
            return
        }
        let (target, _) = accumulator(shape: contribution.shape)
        addInPlace(contribution.data, to: target.data, count: contribution.count)
    }

    /// Memory that nobody else sees, holding the sum so far or, where `isFresh`, arbitrary content to be overwritten.
    mutating func accumulator(shape: [Int]) -> (tensor: Tensor, isFresh: Bool) {
        if let current = sum {
            require(current.shape == shape, "gradient of shape \(current.shape) gets one of shape \(shape)")
            sum = nil
            var held = current
            if !isUniquelyOwned(&held) { held = current.copy() }
            sum = held
            return (held, false)
        }
        let fresh = Tensor(uninitialized: shape)
        sum = fresh
        return (fresh, true)
    }

    private func isUniquelyOwned(_ tensor: inout Tensor) -> Bool { isKnownUniquelyReferenced(&tensor) }
}

extension Tensor {
    /// Whether an operation on this tensor is recorded.
    public var needsGradient: Bool { Recording.accepts(node) }

    /// Makes this tensor one whose gradient is wanted.
    public func track() {
        require(!isReadOnly, "track: the memory of a mapped file cannot be trained")
        if node == nil { node = GradientNode(inputs: []) }
    }

    /// Makes this tensor a constant again and drops its gradient.
    public func untrack() { node = nil }

    /// The gradient that `backward` left on a tracked tensor.
    public var gradient: Tensor? { node?.gradient.sum }

    /// Puts the gradient into memory that nobody else sees, to be changed there; zeros where there is none yet.
    public func claimGradient() {
        guard let node else { return }
        let (gradient, isFresh) = node.gradient.accumulator(shape: shape)
        if isFresh { gradient.data.update(repeating: 0, count: gradient.count) }
    }

    public func clearGradient() { node?.gradient = Gradient() }

    /// Records that this tensor was computed from `inputs`; those that need no gradient are left out beforehand, by
    /// `pullback(for:_:)`, so that what only they would need isn't kept.
    ///
    /// - Parameter sizes: What tells this use of the operation from others where the time is reported.
    func record(
        _ inputs: [(node: GradientNode, pullback: GradientNode.Pullback)?], sizes: (Int, Int) = (0, 0),
        operation: StaticString = #function
    ) -> Tensor {
        let label = OpTimer.Label(name: operation, sizes: sizes)
        OpTimer.lap(label, pullback: 0)
        let present = inputs.compactMap { $0 }
        if !present.isEmpty {
            node = GradientNode(inputs: present, places: inputs.indices.filter { inputs[$0] != nil }, label: label)
        }
        return self
    }

    /// Runs the recorded computation backwards from this tensor, whose own gradient is `seed` (ones where nil), adding
    /// to the gradients of the tracked tensors that it was computed from. The record is consumed on the way, so that
    /// memory is free for reuse as soon as it has served.
    public func backward(seed: Tensor? = nil) { backward(seed: seed, downTo: 0) }

    /// The same, but what was recorded up to the node of order `boundary` gets its gradient and isn't gone through.
    func backward(seed: Tensor?, downTo boundary: UInt64) {
        guard let root = node else { return }
        if let seed { require(seed.shape == shape, "backward: a seed \(seed.shape) for \(shape)") }
        root.gradient.add(seed ?? Tensor(repeating: 1, shape))
        guard root.order > boundary else { return }
        var pending = Self.nodes(below: root, downTo: boundary)
        node = nil
        while let current = pending.popLast() {
            if current.inputs.isEmpty { continue }
            guard let outputGradient = current.gradient.sum else { continue }
            current.gradient = Gradient()
            let inputs = current.inputs
            current.inputs = []
            for (input, place) in zip(inputs, current.places) {
                input.pullback(outputGradient, &input.node.gradient)
                OpTimer.lap(current.label, pullback: place + 1)
            }
        }
    }

    /// Every recorded operation that `root` depends on, `root` last and each one after its inputs.
    private static func nodes(below root: GradientNode, downTo boundary: UInt64) -> [GradientNode] {
        var seen: Set<ObjectIdentifier> = [ObjectIdentifier(root)]
        var found = [root]
        var next = 0
        while next < found.count {
            for input in found[next].inputs
            where input.node.order > boundary && seen.insert(ObjectIdentifier(input.node)).inserted {
                found.append(input.node)
            }
            next += 1
        }
        return found.sorted { $0.order < $1.order }
    }
}

/// Runs `body` without recording anything, as if nothing were trained; for evaluation in the middle of training.
///
/// What other threads compute meanwhile is recorded as ever.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
    try Recording.$mode.withValue(.off) { try body() }
}

/// Runs `body` without recording anything.
///
/// - Returns: Its result, and every node that its operations would have been recorded with.
func collectingNodes<Result>(_ body: () -> Result) -> (result: Result, nodes: [GradientNode]) {
    let collector = NodeCollector()
    let result = Recording.$mode.withValue(.collecting(collector)) { body() }
    return (result, collector.nodes)
}

private final class NodeCollector: @unchecked Sendable {
    var nodes: [GradientNode] = []
    private var seen: Set<ObjectIdentifier> = []

    func add(_ node: GradientNode) {
        if seen.insert(ObjectIdentifier(node)).inserted { nodes.append(node) }
    }
}

enum Recording {
    fileprivate enum Mode: Sendable {
        case on, off
        case collecting(NodeCollector)
    }

    @TaskLocal fileprivate static var mode = Mode.on

    static var isOn: Bool { if case .on = mode { true } else { false } }

    /// Whether an operation on a tensor with this node is recorded.
    fileprivate static func accepts(_ node: GradientNode?) -> Bool {
        guard let node else { return false }
        switch mode {
        case .on: return true
        case .off: return false
        case .collecting(let collector):
            collector.add(node)
            return false
        }
    }
}

/// The entry of `record(_:)` for one input: nil where it needs no gradient.
func pullback(
    for input: Tensor?, _ pullback: @autoclosure () -> GradientNode.Pullback
) -> (node: GradientNode, pullback: GradientNode.Pullback)? {
    guard let node = input?.node, Recording.accepts(node) else { return nil }
    return (node, pullback())
}
