import Diagnostics

/// What is wrong in a template or while it is rendered; the file, and where it isn't known yet the place, come later.
struct Failure: Error {
    let message: String
    var position: TextPosition?

    init(_ message: String, at position: TextPosition? = nil) {
        self.message = message
        self.position = position
    }
}

/// What a template may use up, so that none hangs or takes all memory.
enum Limits {
    /// How deep the syntax of an expression may nest; Python refuses to compile 200.
    static let expressionDepth = 190
    /// How deep tags may stand within each other.
    static let statementDepth = 50
    /// How deep rendering may nest, macros that call themselves included.
    static let renderingDepth = 1_000
    /// How deep lists and objects may nest.
    static let valueDepth = 512
    /// How many bytes a text may have.
    static let textLength = 1 << 26
    /// How many steps a rendering may take: an expression, an element, or 32 bytes of text.
    static let steps = 50_000_000
    /// How many elements a range may have in Jinja's sandbox.
    static let rangeLength = 100_000
    /// The longest template that is read.
    static let templateLength = 1 << 22
}
