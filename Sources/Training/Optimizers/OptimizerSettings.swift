import Configuration
import Diagnostics

/// What the `training` section of a configuration says of the optimizer.
public struct OptimizerSettings: Sendable, Hashable {
    /// The layers that an optimizer treats in its own way, as transformers' `optim_target_modules` means them.
    enum Targets: Sendable, Hashable {
        /// A layer is meant where an entry is part of its path, or a regular expression for the whole of it.
        case list([String])
        /// A layer is meant where the regular expression matches its whole path.
        case expression(String)
        case allLinear
    }

    /// One of the names of an optimizer.
    let name: String
    public internal(set) var adam: AdamW.Settings
    let targets: Targets?
    /// What `optim_args` holds.
    private let arguments: [String: String]
    /// The folder for the scratch file of a paged optimizer; nil for the run's.
    let pagingFolder: String?
    /// Other rates for some of what a LoRA trains; nil for one rate.
    let loRAPlus: LoRAPlusSettings?

    var type: any Optimizer.Type { optimizers.first { $0.names.contains(name) } ?? AdamW.self }

    init(_ section: ConfigSection) {
        let name = section.choice("optim", of: optimizers.flatMap { $0.names }, default: AdamW.names[0])
        let type = optimizers.first { $0.names.contains(name) } ?? AdamW.self
        self.name = name
        targets = Self.targets(section, type, name)
        arguments = Self.arguments(section, type, name)
        pagingFolder = section.optionalPath("optim_paging_dir")
        if pagingFolder != nil, !type.isPaged {
            let paged = optimizers.filter { $0.isPaged }.map { $0.names[0] }.joined(separator: ", ")
            section.record(
                "goes with an optimizer whose state is paged (\(paged)), not with \(name)", at: "optim_paging_dir")
        }
        adam = AdamW.Settings(
            beta1: section.double("adam_beta1", default: 0.9, in: 0..<1),
            beta2: section.double("adam_beta2", default: 0.999, in: 0..<1),
            epsilon: section.double("adam_epsilon", default: type.epsilon, in: Above(0)),
            weightDecay: section.double("weight_decay", default: 0, in: 0...),
            maximumNorm: section.double("max_grad_norm", default: 1, in: 0...))
        loRAPlus = LoRAPlusSettings(section, otherDecay: adam.weightDecay)
        if let complaint = type.complaint(about: self) { section.record(complaint, at: "optim_args") }
    }

    private static func targets(_ section: ConfigSection, _ type: any Optimizer.Type, _ name: String) -> Targets? {
        let key = "optim_target_modules"
        guard let node = section.node(key) else {
            if type.takesTargets {
                section.record(
                    "missing: \(name) needs the linear layers whose gradients it projects, as names, a regular "
                        + "expression, or all-linear", at: key)
            }
            return nil
        }
        if !type.takesTargets {
            let takers = optimizers.filter { $0.takesTargets }.map { $0.names[0] }.joined(separator: ", ")
            section.record("goes with \(takers), not with \(name)", at: key)
        }
        if case .scalar(let text, _) = node.content {
            return text.replacing("_", with: "-") == "all-linear" ? .allLinear : .expression(text)
        }
        return .list(section.optionalStrings(key) ?? [])
    }

    /// `rank=128, scale=0.25` by name; what is wrong with it is recorded.
    private static func arguments(
        _ section: ConfigSection, _ type: any Optimizer.Type, _ name: String
    ) -> [String: String] {
        let key = "optim_args"
        guard let text = section.optionalString(key) else { return [:] }
        var found: [String: String] = [:]
        let known = type.arguments.filter { !$0.isElsewhere }.map(\.name)
        for part in text.replacing(" ", with: "").split(separator: ",", omittingEmptySubsequences: false) {
            if part.isEmpty, text.allSatisfy(\.isWhitespace) { continue }
            let sides = part.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard sides.count == 2, sides.allSatisfy({ !$0.isEmpty }) else {
                section.record("expected settings such as rank=128 with commas between them, got '\(part)'", at: key)
                continue
            }
            if case .elsewhere(let place)? = type.arguments.first(where: { $0.name == sides[0] })?.kind {
                section.record(
                    "\(sides[0]) has no effect here, in transformers neither: give it as \(place)", at: key)
                continue
            }
            guard let argument = type.arguments.first(where: { $0.name == sides[0] }) else {
                section.record(
                    known.isEmpty
                        ? "\(name) takes none, got '\(sides[0])'"
                        : "\(name) knows no '\(sides[0])'; there are \(known.joined(separator: ", "))", at: key)
                continue
            }
            if found[sides[0]] != nil {
                section.record("has '\(sides[0])' twice", at: key)
            } else if !argument.accepts(sides[1]) {
                section.record("\(sides[0]) must be \(argument.requirement), got '\(sides[1])'", at: key)
            }
            found[sides[0]] = sides[1]
        }
        return found
    }

    func argument(_ name: String, default value: Int) -> Int { arguments[name].flatMap(Int.init) ?? value }
    func argument(_ name: String, default value: Double) -> Double { arguments[name].flatMap(Double.init) ?? value }
    func argument(_ name: String, default value: String) -> String { arguments[name] ?? value }
    func flag(_ name: String) -> Bool {
        arguments[name].map { OptimizerArgument.yes.contains($0.lowercased()) } ?? false
    }
}

/// A setting in `training.optim_args`.
public struct OptimizerArgument: Sendable, Hashable {
    enum Kind: Hashable {
        /// A whole number from 1 on.
        case count
        /// A number above 0.
        case factor
        /// A number from 0 on.
        case measure
        /// A number from 0 to less than 1.
        case share
        /// true or false, as transformers reads them here.
        case flag
        case word([String])
        /// What counts only where another key says it.
        case elsewhere(String)
    }

    static let yes = ["true", "1", "yes"]
    static let no = ["false", "0", "no"]

    public let name: String
    let kind: Kind

    init(_ name: String, _ kind: Kind) { (self.name, self.kind) = (name, kind) }

    func accepts(_ text: String) -> Bool {
        switch kind {
        case .count: Int(text).map { (1...Int(Int32.max)).contains($0) } ?? false
        case .factor: Double(text).map { $0 > 0 && Float($0).isFinite } ?? false
        case .measure: Double(text).map { $0 >= 0 && Float($0).isFinite } ?? false
        case .share: Double(text).map { (0..<1).contains($0) } ?? false
        case .flag: (Self.yes + Self.no).contains(text.lowercased())
        case .word(let words): words.contains(text)
        case .elsewhere: false
        }
    }

    var isElsewhere: Bool { if case .elsewhere = kind { true } else { false } }

    var requirement: String {
        switch kind {
        case .count: "a whole number from 1 on"
        case .factor: "a number above 0"
        case .measure: "a number from 0 on"
        case .share: "a number from 0 to less than 1"
        case .flag: "true or false"
        case .word(let words): "one of \(words.joined(separator: ", "))"
        case .elsewhere(let place): "given as \(place)"
        }
    }
}
