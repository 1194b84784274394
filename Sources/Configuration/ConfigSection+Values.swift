import Diagnostics
import Host

/// Reads of single values. Each comes with a default, as required, or as optional.
extension ConfigSection {
    public func int(_ key: String, default value: Int, in limit: (any ValueLimit<Int>)? = nil) -> Int {
        read(key, Self.integer(limit), default: value)
    }

    public func optionalInt(_ key: String, in limit: (any ValueLimit<Int>)? = nil) -> Int? {
        read(key, Self.integer(limit))
    }

    /// Records a problem and returns 0 where it is absent.
    public func requiredInt(_ key: String, in limit: (any ValueLimit<Int>)? = nil) -> Int {
        require(key, Self.integer(limit)) ?? 0
    }

    public func double(_ key: String, default value: Double, in limit: (any ValueLimit<Double>)? = nil) -> Double {
        read(key, Self.number(limit), default: value)
    }

    /// A number whose default depends on other values, so that no one default can be told.
    public func double(
        _ key: String, dependentDefault value: Double, in limit: (any ValueLimit<Double>)? = nil
    ) -> Double {
        let reading = Self.number(limit)
        note(key, type: reading.type, default: nil)
        resolve(key, reading.encode(value))
        return parsed(key, reading) ?? value
    }

    /// A whole number, or a share of something that is below 1.
    public func countOrShare(
        _ key: String, default value: Double, in limit: (any ValueLimit<Double>)? = nil
    ) -> Double {
        let number = Self.number(limit)
        let reading = Reading<Double>(
            number.type, { value in Int(exactly: value).map(ConfigValue.integer) ?? .number(value) }
        ) { node in
            number.parse(node).flatMap { value in
                value < 1 || Int(exactly: value) != nil
                    ? .success(value)
                    : .failure(
                        Mismatch(message: "must be a whole number, or a share below 1, got \(node.summary)", node: node)
                    )
            }
        }
        return read(key, reading, default: value)
    }

    public func optionalDouble(_ key: String, in limit: (any ValueLimit<Double>)? = nil) -> Double? {
        read(key, Self.number(limit))
    }

    /// Records a problem and returns 0 where it is absent.
    public func requiredDouble(_ key: String, in limit: (any ValueLimit<Double>)? = nil) -> Double {
        require(key, Self.number(limit)) ?? 0
    }

    /// A probability from 0 to less than 1, also as a number of 32 bits, with which it is computed.
    public func probability(_ key: String, default value: Double) -> Float {
        let wanted = double(key, default: value, in: 0..<1)
        if Float(wanted) < 1 { return Float(wanted) }
        record("must be less than 1 as a number of 32 bits too, and \(wanted) isn't", at: key)
        return Float(value)
    }

    public func bool(_ key: String, default value: Bool) -> Bool { read(key, Self.boolean, default: value) }

    public func optionalBool(_ key: String) -> Bool? { read(key, Self.boolean) }

    public func string(_ key: String, default value: String) -> String { read(key, Self.text, default: value) }

    public func optionalString(_ key: String) -> String? { read(key, Self.text) }

    /// Records a problem and returns an empty string where it is absent.
    public func requiredString(_ key: String) -> String { require(key, Self.text) ?? "" }

    /// The path of a file or a folder, in which `~` stands for the home folder. Records a problem and returns an empty
    /// string where it is absent.
    public func requiredPath(_ key: String) -> String { require(key, Self.path) ?? "" }

    public func optionalPath(_ key: String) -> String? { read(key, Self.path) }

    /// A list of paths, or one for a list of one.
    public func optionalPaths(_ key: String) -> [String]? { read(key, Self.paths) }

    /// One of the words `options`.
    public func choice(_ key: String, of options: [String], default value: String) -> String {
        read(key, Self.choice(options), default: value)
    }

    public func optionalChoice(_ key: String, of options: [String]) -> String? { read(key, Self.choice(options)) }

    /// Records a problem and returns the first option where it is absent.
    public func requiredChoice(_ key: String, of options: [String]) -> String {
        require(key, Self.choice(options)) ?? options.first ?? ""
    }

    /// One of the cases of an enumeration, by its raw value.
    public func choice<Choice: CaseIterable & RawRepresentable<String>>(_ key: String, default value: Choice) -> Choice
    {
        let word = choice(key, of: Choice.allCases.map(\.rawValue), default: value.rawValue)
        return Choice(rawValue: word) ?? value
    }

    /// A list of strings, or one string for a list of one.
    public func strings(_ key: String, default value: [String]) -> [String] { read(key, Self.texts, default: value) }

    public func optionalStrings(_ key: String) -> [String]? { read(key, Self.texts) }

    /// A list of integers, or one integer for a list of one.
    public func optionalInts(_ key: String, in limit: (any ValueLimit<Int>)? = nil) -> [Int]? {
        let element = Self.integer(limit)
        return read(
            key,
            Reading("list of integers", { .list($0.map { .integer($0) }) }) { node in
                guard case .list(let nodes) = node.content else { return element.parse(node).map { [$0] } }
                return Self.all(nodes, element)
            })
    }
}

/// How values of a type are taken from a node: what they are called, and what is wrong with a node that isn't one.
struct Reading<Value> {
    var type: String
    var encode: (Value) -> ConfigValue
    var parse: (ConfigNode) -> Result<Value, Mismatch>

    init(
        _ type: String, _ encode: @escaping (Value) -> ConfigValue,
        _ parse: @escaping (ConfigNode) -> Result<Value, Mismatch>
    ) {
        self.type = type
        self.encode = encode
        self.parse = parse
    }
}

/// Why a node can't be read.
struct Mismatch: Error {
    var message: String
    /// The part of the value that is wrong.
    var node: ConfigNode
}

extension ConfigSection {
    /// The value of `key`, or nil where it is absent or wrong; what is wrong is recorded.
    private func parsed<Value>(_ key: String, _ reading: Reading<Value>) -> Value? {
        guard let node = value(key) else { return nil }
        switch reading.parse(node) {
        case .success(let value):
            resolve(key, reading.encode(value))
            return value
        case .failure(let mismatch):
            journal.problems.append(mismatch.node.place.problem(mismatch.message, key: fullPath(key)))
            return nil
        }
    }

    func read<Value>(_ key: String, _ reading: Reading<Value>, default value: Value) -> Value {
        note(key, type: reading.type, default: reading.encode(value))
        resolve(key, reading.encode(value))
        return parsed(key, reading) ?? value
    }

    func read<Value>(_ key: String, _ reading: Reading<Value>) -> Value? {
        note(key, type: reading.type, default: nil)
        return parsed(key, reading)
    }

    private func require<Value>(_ key: String, _ reading: Reading<Value>) -> Value? {
        note(key, type: reading.type, default: nil, isRequired: true)
        if value(key) == nil { record("missing: this key is required", at: key) }
        return parsed(key, reading)
    }

    static func integer(_ limit: (any ValueLimit<Int>)?) -> Reading<Int> {
        Reading("integer", { .integer($0) }) { node in
            guard case .scalar(let text, false) = node.content, let value = Configuration.integer(text) else {
                var message = "expected an integer, got \(node.summary)"
                if case .scalar(let text, _) = node.content,
                    let value = Configuration.number(respelledNumber(text) ?? text), let whole = Int(exactly: value)
                {
                    message += ": write \(whole)"
                }
                return .failure(Mismatch(message: message, node: node))
            }
            return limited(value, limit, node)
        }
    }

    static func number(_ limit: (any ValueLimit<Double>)?) -> Reading<Double> {
        Reading("number", { .number($0) }) { node in
            guard case .scalar(let text, false) = node.content, let value = Configuration.number(text) else {
                var message = "expected a number, got \(node.summary)"
                if case .scalar(let text, _) = node.content,
                    let spelling = Configuration.number(text) == nil ? respelledNumber(text) : text
                {
                    message += ": write \(spelling)"
                }
                return .failure(Mismatch(message: message, node: node))
            }
            // Numbers are computed with in 32 bits, in which a larger one is infinite.
            guard Float(value).isFinite else {
                return .failure(Mismatch(message: "the number \(text) is out of range", node: node))
            }
            return limited(value, limit, node)
        }
    }

    private static func limited<Value>(
        _ value: Value, _ limit: (any ValueLimit<Value>)?, _ node: ConfigNode
    ) -> Result<Value, Mismatch> {
        guard let limit, !limit.contains(value) else { return .success(value) }
        return .failure(Mismatch(message: "must be \(limit.requirement), got \(node.summary)", node: node))
    }

    private static var boolean: Reading<Bool> {
        Reading("true or false", { .boolean($0) }) { node in
            guard case .scalar(let text, false) = node.content, let value = Configuration.boolean(text) else {
                var message = "expected true or false, got \(node.summary)"
                if case .scalar(let text, _) = node.content, let value = Configuration.boolean(text) {
                    message += ": write \(value)"
                }
                return .failure(Mismatch(message: message, node: node))
            }
            return .success(value)
        }
    }

    private static var text: Reading<String> {
        Reading("string", { .string($0) }) { node in
            switch (node.content, node.place) {
            case (.scalar(let text, _), _): return .success(text)
            // A template such as {mr} is a mapping to YAML, but nobody means one on the command line.
            case (_, .override(_, let text)): return .success(text)
            case (.mapping, _):
                let message = "expected a string, got a mapping: put text that starts with { in quotation marks"
                return .failure(Mismatch(message: message, node: node))
            default: return .failure(Mismatch(message: "expected a string, got \(node.summary)", node: node))
            }
        }
    }

    static var path: Reading<String> {
        var reading = text
        reading.parse = { node in text.parse(node).map(\.expandingHome) }
        return reading
    }

    private static var paths: Reading<[String]> {
        var reading = texts
        reading.parse = { node in texts.parse(node).map { $0.map(\.expandingHome) } }
        return reading
    }

    private static var texts: Reading<[String]> {
        Reading("list of strings", { .list($0.map { .string($0) }) }) { node in
            guard case .list(let nodes) = node.content else { return text.parse(node).map { [$0] } }
            return all(nodes, text)
        }
    }

    private static func choice(_ options: [String]) -> Reading<String> {
        Reading("one of \(options.joined(separator: ", "))", { .string($0) }) { node in
            if case .scalar(let text, false) = node.content, let word = Configuration.boolean(text).map({ "\($0)" }),
                options.contains(word)
            {
                return .success(word)
            }
            guard case .scalar(let text, _) = node.content, options.contains(text) else {
                var message = "expected one of \(options.joined(separator: ", ")), got \(node.summary)"
                if case .scalar(let text, _) = node.content, let near = suggestion(for: text, among: options) {
                    message += "; did you mean '\(near)'?"
                }
                return .failure(Mismatch(message: message, node: node))
            }
            return .success(text)
        }
    }

    private static func all<Value>(_ nodes: [ConfigNode], _ reading: Reading<Value>) -> Result<[Value], Mismatch> {
        var values: [Value] = []
        for node in nodes {
            switch reading.parse(node) {
            case .success(let value): values.append(value)
            case .failure(let mismatch): return .failure(mismatch)
            }
        }
        return .success(values)
    }
}
