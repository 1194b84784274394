import JSONText

/// The best evaluation of a run so far, and how long there was no better one; as `transformers`' Trainer and its
/// EarlyStoppingCallback keep it.
package struct BestRecord: Hashable, Sendable {
    /// The step of the best evaluation; nil where none was a number yet.
    package private(set) var step: Int?
    /// What was measured there.
    package private(set) var value: Double?
    /// Evaluations in a row that were no better.
    package private(set) var failures = 0
    /// The step of the last evaluation that was looked at.
    package private(set) var lastStep: Int?

    package init() {}

    /// Takes in an evaluation; the first of equals stays the best, and what is no number never is.
    ///
    /// Patience asks for more than `threshold` against the best so far, which moves with every smaller gain too. The first
    /// evaluation never counts against it.
    ///
    /// - Returns: Whether it is the best now.
    @discardableResult
    package mutating func add(_ new: Double, step: Int, greaterIsBetter: Bool, threshold: Double) -> Bool {
        let best = value ?? (greaterIsBetter ? -Double.infinity : .infinity)
        let isBetter = greaterIsBetter ? new > best : new < best
        if lastStep == nil || isBetter && abs(new - best) > threshold { failures = 0 } else { failures += 1 }
        lastStep = step
        if isBetter { (value, self.step) = (new, step) }
        return isBetter
    }

    private static let key = "best"

    /// As a checkpoint's state holds it; nothing where there was no evaluation.
    var members: [JSONValue.Member] {
        guard let lastStep else { return [] }
        return [
            .init(
                Self.key,
                [
                    "step": step.map(JSONValue.integer) ?? .null, "value": value.map(JSONValue.number) ?? .null,
                    "failures": .integer(failures), "evaluated_step": .integer(lastStep),
                ])
        ]
    }

    /// Reads that of a checkpoint's state; an empty one where it has none.
    init(_ state: JSONNode) throws {
        guard let node = try state.optional(Self.key) else { return }
        step = try node.optionalInteger("step")
        value = try node.optionalNumber("value")
        failures = try node.integer("failures")
        lastStep = try node.integer("evaluated_step")
    }
}
