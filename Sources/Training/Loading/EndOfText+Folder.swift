import Configuration
public import Datasets
public import Diagnostics
import Files
import Models
import Tokenizers

extension EndOfText {
    /// As a model's folder names them: `eos_token` of the tokenizer, `eos_token_id` of `config.json` and of
    /// `generation_config.json`, of which each may name several; in this order of rank.
    ///
    /// - Throws: `Problem` or `Problems` where `generation_config.json` can't be read.
    init(_ tokenizer: (any Tokenizer)?, _ model: any LanguageModel, folder: String, warn: WarningSink) throws {
        var ids = model.endOfTextIDs
        let path = FileSystem.join(folder, "generation_config.json")
        if FileSystem.isFile(path) {
            let root = try ConfigDocument.load(jsonFile: path).root
            ids += root.endOfTextIDs
            try root.throwProblems()
        }
        // transformers says so too, and goes on.
        let vocabulary = 0..<Int32(clamping: model.vocabularySize)
        if let other = ids.first(where: { !vocabulary.contains($0) }) {
            warn(
                Problem(
                    "\(other) is no id of the vocabulary, which has \(vocabulary.count)", file: folder,
                    key: "eos_token_id", severity: .warning))
            ids.removeAll { !vocabulary.contains($0) }
        }
        self.init(tokenizer, others: ids)
    }
}

extension BaseModel {
    /// Warns where texts are to end with a token and no file names one.
    public func checkEnd(of templates: ExampleTemplates?, warn: WarningSink) {
        if case .labelled? = templates { return }
        guard endOfText.appended == nil, templates != nil else { return }
        warn(
            Problem(
                "no file names the token that ends a text (eos_token of the tokenizer, eos_token_id of config.json or "
                    + "generation_config.json): texts and completions get none, and a model trained on them doesn't stop",
                file: folder, severity: .warning))
    }
}
