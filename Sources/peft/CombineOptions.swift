public import ArgumentParser
public import Training

extension CombinationType: ExpressibleByArgument {}

extension CombinationSettings.MajoritySign: ExpressibleByArgument {}

/// How `peft merge` makes one adapter of several.
struct CombineOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Write one LoRA adapter that is made of several, as peft's add_weighted_adapter does, in place of a model: "
                + CombinationType.allCases.map(\.rawValue).joined(separator: ", ") + ".", valueName: "type"))
    var combine: CombinationType?

    @Option(
        help: ArgumentHelp(
            "The share of each adapter's numbers that ties, dare and magnitude_prune keep; above 0, at most 1.",
            valueName: "share"))
    var density: Double?

    @Option(
        help: ArgumentHelp(
            "By what ties elect a sign: total, the sum of the numbers (the default), or frequency, how many have it.",
            valueName: "method"))
    var majoritySignMethod: CombinationSettings.MajoritySign?

    @Option(
        help: ArgumentHelp(
            "The rank of what svd brings down; by default the largest of the adapters'.", valueName: "r"))
    var svdRank: Int?

    @Option(help: ArgumentHelp("Starts the random choice of what dare drops (42 without).", valueName: "n"))
    var seed: UInt64?

    @Flag(help: "Merge the combined adapter into the base, and write the model.")
    var intoBase = false

    func validate() throws {
        guard let combine else {
            let given: [(String, Bool)] = [
                ("--density", density != nil), ("--majority-sign-method", majoritySignMethod != nil),
                ("--svd-rank", svdRank != nil), ("--seed", seed != nil), ("--into-base", intoBase),
            ]
            if let first = given.first(where: \.1) {
                throw ValidationError("\(first.0) says how adapters are combined: give --combine too")
            }
            return
        }
        let type = combine.rawValue
        if let density, !(density > 0 && density <= 1) {
            throw ValidationError("--density must be above 0 and at most 1, got \(density)")
        }
        if combine.prunes, density == nil {
            throw ValidationError("--combine \(type): say by --density which share of the numbers is kept, as 0.5")
        }
        if !combine.prunes, density != nil { throw ValidationError("--density: \(type) keeps all numbers") }
        if !combine.electsSigns, majoritySignMethod != nil {
            throw ValidationError("--majority-sign-method: \(type) elects no signs")
        }
        if !combine.isRandom, seed != nil { throw ValidationError("--seed: \(type) draws nothing at random") }
        if let svdRank {
            if !combine.combinesChanges {
                throw ValidationError("--svd-rank: \(type) brings nothing down, as the types do that end in svd")
            }
            if svdRank < 1 { throw ValidationError("--svd-rank must be at least 1, got \(svdRank)") }
        }
    }

    /// - Parameters:
    ///   - adapters: At least one.
    ///   - output: Where the adapter goes.
    func settings(
        base: String, adapters: [MergeSettings.WeightedAdapter], output: String, acceptsOtherBase: Bool
    ) -> CombinationSettings? {
        combine.map { type in
            CombinationSettings(
                base: base, adapters: adapters, output: output, type: type, density: density ?? 1,
                majoritySign: majoritySignMethod ?? .total, rank: svdRank, seed: seed ?? 42,
                acceptsOtherBase: acceptsOtherBase)
        }
    }
}
