import Diagnostics
import Tokenizers

extension ExampleEncoder {
    /// The tokens of what a record gives in a template, as a text that is to be labelled has them.
    ///
    /// - Throws: `Problem` with file and line where the record can't be used, or is too long and nothing is to be cut.
    public func textTokens(_ record: Record, in template: Template) throws -> (tokens: [Int32], isCut: Bool) {
        let text = try record.rendered(in: template)
        var tokens =
            switch virtualTokens {
            case .none: tokenizer.encode(text.source)
            case .empty: text.encode(tokenizer, placing: false)
            case .filled: text.encode(tokenizer, placing: true)
            }
        let isCut = maximumLength.map { tokens.count > $0 } ?? false
        if let maximumLength, isCut {
            switch policy {
            case .keepPromptStart: tokens = Array(tokens.prefix(maximumLength))
            case .keepPromptEnd: tokens = Array(tokens.suffix(maximumLength))
            case .drop, .error:
                throw record.problem("\(tokens.count) tokens are more than \(limitName) (\(maximumLength))")
            }
        }
        while tokens.count > 1, tokens.last == paddingID { tokens.removeLast() }
        if tokens.isEmpty { throw record.problem("the text of this record is empty") }
        return (tokens, isCut)
    }
}
