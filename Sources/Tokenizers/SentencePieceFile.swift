import Diagnostics
import Files
import JSONText

/// What a model of SentencePiece (Kudo and Richardson, 2018) holds: tokenizer.model of LLaMA and Mistral, spiece.model of T5.
struct SentencePieceFile {
    enum Kind: Int { case unigram = 1, bpe, word, character }

    enum PieceType: Int { case normal = 1, unknown, control, userDefined, unused, byte }

    struct Piece {
        var text: String
        var score: Float = 0
        var type = PieceType.normal

        /// Whether texts are cut into it.
        var isOrdinary: Bool { type == .normal || type == .userDefined || type == .unused }
    }

    var pieces: [Piece] = []
    var kind = Kind.unigram
    var hasByteFallback = false
    var beginningID = 1
    var endID = 2
    var unknownSurface = " \u{2047} "
    var normalization = Normalization()

    struct Normalization {
        var addsDummyPrefix = true
        var removesExtraSpaces = true
        var escapesSpaces = true
        var characterMap: CharacterMap?
    }

    private let file: String
    private var isSuffixed = false

    /// - Throws: `Problem` where the file isn't one, is broken, or holds what isn't supported.
    static func read(path: String) throws -> SentencePieceFile {
        try FileBytes(path: path).withBytes { bytes in
            var file = SentencePieceFile(file: path)
            try file.refuseText(bytes)
            try file.readModel(bytes)
            try file.check()
            return file
        }
    }

    private init(file: String) { self.file = file }

    private func problem(_ message: String) -> Problem { Problem(message, file: file) }

    /// Files of the same name in another form are told by their beginning.
    private func refuseText(_ bytes: UnsafeRawBufferPointer) throws {
        let line = bytes.prefix { $0 != 0x0A }.prefix(200)
        let words = line.split(separator: UInt8(ascii: " "))
        if words.count == 2, words[0].allSatisfy({ (0x2B...0x7A).contains($0) || $0 == 0x3D }),
            words[1].allSatisfy({ (0x30...0x39).contains($0) })
        {
            throw problem("it is a file of tiktoken, which isn't supported: the model's tokenizer.json is")
        }
    }

    private mutating func readModel(_ bytes: UnsafeRawBufferPointer) throws {
        var reader = ProtobufReader(bytes, file: file)
        while let field = try reader.next() {
            switch field.number {
            case 1:
                pieces.append(try Self.piece(reader.message(field)))
                if pieces.count > MergeTable.idLimit {
                    throw problem("more than \(MergeTable.idLimit) pieces aren't supported")
                }
            case 2: try readTrainer(reader.message(field))
            case 3: try readNormalizer(reader.message(field), bytes)
            case 5: try refuseDenormalizer(reader.message(field))
            default: continue
            }
        }
    }

    private static func piece(_ reader: ProtobufReader) throws -> Piece {
        var reader = reader
        var piece = Piece(text: "")
        while let field = try reader.next() {
            switch field.number {
            case 1: piece.text = try reader.text(field)
            case 2: piece.score = try reader.number(field)
            case 3:
                guard let type = PieceType(rawValue: try reader.integer(field)) else {
                    throw reader.problem(field, "one of a piece's types, 1 to 6,")
                }
                piece.type = type
            default: continue
            }
        }
        return piece
    }

    private mutating func readTrainer(_ reader: ProtobufReader) throws {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 3:
                guard let kind = Kind(rawValue: try reader.integer(field)) else {
                    throw reader.problem(field, "one of the kinds of models, 1 to 4,")
                }
                self.kind = kind
            case 24: isSuffixed = try reader.boolean(field)
            case 35: hasByteFallback = try reader.boolean(field)
            case 41: beginningID = try reader.integer(field)
            case 42: endID = try reader.integer(field)
            case 44: unknownSurface = try reader.text(field)
            default: continue
            }
        }
    }

    private mutating func readNormalizer(_ reader: ProtobufReader, _ bytes: UnsafeRawBufferPointer) throws {
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 2:
                let range = try reader.bytes(field)
                if range.isEmpty { continue }
                do {
                    normalization.characterMap = try CharacterMap(Array(bytes[range]))
                } catch {
                    throw reader.problem(
                        "the map of characters (precompiled_charsmap) is broken: \(error.message)",
                        at: field.offset)
                }
            case 3: normalization.addsDummyPrefix = try reader.boolean(field)
            case 4: normalization.removesExtraSpaces = try reader.boolean(field)
            case 5: normalization.escapesSpaces = try reader.boolean(field)
            default: continue
            }
        }
    }

    private func refuseDenormalizer(_ reader: ProtobufReader) throws {
        var reader = reader
        while let field = try reader.next() {
            if field.number == 2, try !reader.bytes(field).isEmpty {
                throw problem("changes to what is decoded (denormalizer_spec) aren't supported")
            }
        }
    }

    // MARK: checks

    private func check() throws {
        if pieces.isEmpty { throw problem("it holds no pieces: it isn't a model of SentencePiece") }
        if kind == .word {
            throw problem("a model of whole words isn't supported: only BPE, Unigram and characters are")
        }
        if isSuffixed { throw problem("spaces behind words (treat_whitespace_as_suffix) aren't supported") }
        var spellings: (ordinary: Set<[UInt8]>, others: Set<[UInt8]>) = ([], [])
        var unknown: Int?
        var bytesFound = Set<UInt8>()
        for (id, piece) in pieces.enumerated() {
            if piece.text.isEmpty { throw problem("the piece \(id) is empty") }
            let bytes = Array(piece.text.utf8)
            let isNew =
                piece.isOrdinary ? spellings.ordinary.insert(bytes).inserted : spellings.others.insert(bytes).inserted
            if !isNew { throw problem("the piece \(id), \(quoted(piece.text)), is there twice") }
            switch piece.type {
            case .unknown:
                if let unknown { throw problem("the pieces \(unknown) and \(id) both stand for what is unknown") }
                unknown = id
            case .byte:
                guard hasByteFallback, let byte = Self.byte(piece.text) else {
                    throw problem("the piece \(id), \(quoted(piece.text)), is no byte, or byte_fallback is false")
                }
                bytesFound.insert(byte)
            default: continue
            }
        }
        if unknown == nil { throw problem("no piece stands for what is unknown") }
        if hasByteFallback, bytesFound.count < 256 {
            throw problem("byte_fallback is true, and only \(bytesFound.count) of 256 bytes are pieces")
        }
    }

    /// The byte that `<0x0A>` spells.
    static func byte(_ text: String) -> UInt8? {
        guard text.utf8.count == 6, text.hasPrefix("<0x"), text.hasSuffix(">") else { return nil }
        let digits = text.dropFirst(3).dropLast()
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }) else { return nil }
        return UInt8(digits, radix: 16)
    }
}
