/// What is wrong with some of many like things, gathered while the others are looked at.
public struct ProblemCollection {
    /// How many are told one by one.
    public static let limit = 20

    /// The first of them.
    private var list: [Problem] = []
    private var count = 0
    private var haveOneMessage = true

    public init() {}

    public var isEmpty: Bool { count == 0 }

    public mutating func add(_ problem: Problem) {
        haveOneMessage = haveOneMessage && list.first?.message ?? problem.message == problem.message
        if list.count < Self.limit { list.append(problem) }
        count += 1
    }

    /// What `body` returns, or nil where it throws a `Problem`, which is added.
    public mutating func collect<Value>(_ body: () throws -> Value) throws -> Value? {
        do {
            return try body()
        } catch let problem as Problem {
            add(problem)
            return nil
        }
    }

    /// Throws what was added: a `Problem` where it is one, or the same of all; otherwise `Problems`, of which the last
    /// says how many there are beyond the limit.
    ///
    /// - Parameters:
    ///   - total: How many things were looked at; nil where that they all have the same problem is worth no word.
    ///   - name: What they are called: `records`.
    public func throwAll(of total: Int?, _ name: String) throws {
        guard var first = list.first else { return }
        if count == 1 { throw first }
        if count == total, haveOneMessage {
            first.message += "; it is so in all \(count) \(name)"
            throw first
        }
        let more = count - list.count
        throw Problems(list + (more > 0 ? [Problem("\(more) more \(name) can't be used")] : []))
    }
}
