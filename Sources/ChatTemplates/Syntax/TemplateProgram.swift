/// A template that was taken apart, with a place for every variable.
struct TemplateProgram: Sendable {
    /// Where a variable lies: in which of the calls around, and at which place of it.
    struct Reference: Sendable {
        let hops: Int
        let slot: Int
    }

    enum Load: Sendable {
        /// What the template was given by this name, or a function of Jinja's.
        case given(Int)
        case copy(Reference)
        case nothing
    }

    /// The variables that statements of a body see.
    struct Frame: Sendable {
        /// By the name's number; nil for names that don't appear.
        var references: [Reference?] = []
        /// What lies in its own variables at the beginning.
        var loads: [(slot: Int, load: Load)] = []
        /// The number of the function that it belongs to: the template, a macro, the body of a call block or of a recursive
        /// loop.
        var function = 0
    }

    let body: [Statement]
    let names: [String]
    let frames: [Frame]
    /// How many variables each function has.
    let slotCounts: [Int]

    init(_ source: String) throws {
        var parser = try TemplateParser(source)
        body = try parser.parseAll()
        names = parser.names
        var analysis = ScopeAnalysis(names: parser.names, frameCount: parser.frameCount)
        try analysis.analyze(body)
        frames = analysis.frames
        slotCounts = analysis.slotCounts
    }
}
