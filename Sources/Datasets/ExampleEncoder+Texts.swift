import Diagnostics

extension ExampleEncoder {
    /// The tokens of what a record gives in a template, as a text that is to be labelled has them.
    ///
    /// - Throws: `Problem` with file and line where the record can't be used, or is too long and nothing is to be cut.
    public func textTokens(_ record: Record, in template: Template) throws -> (tokens: [Int32], isCut: Bool) {
        let text = try record.rendered(in: template)
        var tokens = codec.opening(text) + codec.suffix
        let isCut = maximumLength.map { tokens.count > $0 } ?? false
        if let maximumLength, isCut {
            let room = max(0, maximumLength - codec.prefix.count - codec.suffix.count)
            let own = tokens.dropFirst(codec.prefix.count).dropLast(codec.suffix.count)
            switch policy {
            case .keepPromptStart: tokens = codec.prefix + own.prefix(room) + codec.suffix
            case .keepPromptEnd: tokens = codec.prefix + own.suffix(room) + codec.suffix
            case .drop, .error:
                throw record.problem("\(tokens.count) tokens are more than \(limitName) (\(maximumLength))")
            }
        }
        while tokens.count > 1, tokens.last == paddingID { tokens.removeLast() }
        if tokens.isEmpty { throw record.problem("the text of this record is empty") }
        return (tokens, isCut)
    }
}
