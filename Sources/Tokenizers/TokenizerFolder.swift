import Diagnostics
import Glibc

/// A way in which a model folder holds its tokenizer.
private struct TokenizerFormat: Sendable {
    /// The files that must all be there.
    var files: [String]
    var load: @Sendable (_ folder: String) throws -> any Tokenizer
}

/// The formats, in the order in which they are looked for.
private let formats = [
    TokenizerFormat(files: ["tokenizer.json"]) { folder in
        var content = try TokenizerJSON.read(path: pathOfFile("tokenizer.json", in: folder))
        try TokenizerSettings(folder: folder).apply(to: &content)
        return SubwordTokenizer(content)
    },
    TokenizerFormat(files: ["vocab.json", "merges.txt"]) { folder in
        let settings = try TokenizerSettings(folder: folder)
        var content = try VocabularyFiles.read(folder: folder, settings: settings)
        try settings.apply(to: &content)
        return SubwordTokenizer(content)
    },
    TokenizerFormat(files: ["tokenizer.model"]) { try SentencePieceFile.load("tokenizer.model", folder: $0) },
    TokenizerFormat(files: [SentencePieceFile.t5Name]) {
        try SentencePieceFile.load(SentencePieceFile.t5Name, folder: $0)
    },
]

/// What a folder with a tokenizer holds, for messages.
public let tokenizerFileNames = formats.map { $0.files.joined(separator: " and ") }.joined(separator: ", or ")

/// Whether a folder holds a tokenizer, or the first of its files.
public func hasTokenizer(folder: String) -> Bool {
    formats.contains { format in format.files.first.map { fileExists(pathOfFile($0, in: folder)) } ?? false }
}

/// Loads the tokenizer of a model folder as transformers saves it.
///
/// Throws a `Problem`, or `Problems` for several: with the exit status `missingInput` where the folder holds no
/// tokenizer, with file and position where a file's content is wrong or not supported.
public func loadTokenizer(folder: String) throws -> any Tokenizer {
    guard fileExists(folder) else { throw Problem("no such folder", file: folder, exitStatus: .missingInput) }
    for format in formats where format.files.allSatisfy({ fileExists(pathOfFile($0, in: folder)) }) {
        return try format.load(folder)
    }
    var message = "no tokenizer in this folder: looked for \(tokenizerFileNames)"
    let present = formats.flatMap(\.files).filter { fileExists(pathOfFile($0, in: folder)) }
    if !present.isEmpty { message += " (only \(present.joined(separator: " and ")) is there)" }
    throw Problem(message, file: folder, exitStatus: .missingInput)
}

/// The path of a file in `folder`.
func pathOfFile(_ name: String, in folder: String) -> String {
    folder.utf8.last == UInt8(ascii: "/") ? folder + name : folder + "/" + name
}

/// Whether a file or folder is at `path`.
func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }
