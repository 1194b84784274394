import Diagnostics
import JSONText

/// Pieces and their scores, by id.
struct ScoredVocabulary {
    var vocabulary: Vocabulary
    var scores: [Double]

    /// Reads an array of pairs.
    static func read(_ reader: inout JSONReader, reservingBytes size: Int) throws -> ScoredVocabulary {
        let start = reader.position
        var builder = Vocabulary.Builder(reservingBytes: size)
        var scores: [Double] = []
        try reader.readArray { reader in
            let position = reader.position
            var piece: UnsafeRawBufferPointer?
            var score: Double?
            var count = 0
            try reader.readArray { reader in
                if count == 0 {
                    piece = try reader.readStringBytes()
                } else {
                    score = Self.number(try reader.readNumberBytes())
                }
                count += 1
            }
            guard count == 2, let piece, let score else {
                throw reader.problem("a piece and its score are two, got \(count)", at: position, key: "model.vocab")
            }
            guard score.isFinite else {
                throw reader.problem("the score of \(quoted(piece)) is too large", at: position, key: "model.vocab")
            }
            guard scores.count < MergeTable.idLimit else {
                throw reader.problem("more than \(MergeTable.idLimit) pieces aren't supported", at: position)
            }
            builder.append(piece, id: Int32(truncatingIfNeeded: scores.count))
            scores.append(score)
        }
        if scores.isEmpty { throw reader.problem("the vocabulary is empty", at: start) }
        return ScoredVocabulary(vocabulary: Vocabulary(builder), scores: scores)
    }

    /// The value of a number as the tokenizers library reads it, sometimes not the nearest one: its digits as a whole,
    /// rounded, times or over a power of ten, rounded again. Ways of equal scores are told apart by such differences.
    private static func number(_ text: UnsafeRawBufferPointer) -> Double {
        var (digits, exponent, written) = (UInt64(0), 0, 0)
        var (isFraction, isExponent, isFull) = (false, false, false)
        var isSmall = false
        for byte in text {
            switch byte {
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"): isExponent = true
            case UInt8(ascii: "-"): isSmall = isExponent
            case UInt8(ascii: "+"): continue
            default:
                let digit = UInt64(byte - UInt8(ascii: "0"))
                if isExponent {
                    written = min(written * 10 + Int(digit), 100_000)
                    continue
                }
                let product = digits.multipliedReportingOverflow(by: 10)
                let sum = product.partialValue.addingReportingOverflow(digit)
                isFull = isFull || product.overflow || sum.overflow
                if !isFull { digits = sum.partialValue }
                if isFull == !isFraction { exponent += isFull ? 1 : -1 }
            }
        }
        exponent += isSmall ? -written : written
        var value = Double(digits)
        while exponent < -308, value != 0 {
            value /= 1e308
            exponent += 308
        }
        if exponent < 0, value != 0 { value /= power(-exponent) } else if exponent > 0 { value *= power(exponent) }
        return text.first == UInt8(ascii: "-") ? -value : value
    }

    /// The nearest number to a power of ten.
    private static func power(_ exponent: Int) -> Double { Double("1e\(exponent)") ?? .infinity }
}
