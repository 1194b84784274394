import Configuration
import Datasets
import JSONText
import Methods

/// How the result of a run is used: by this tool, and in Python.
struct ResultUse {
    private let configuration: RunConfiguration
    private let isAdapter: Bool
    private let mergeObstacle: String?
    private let formObstacle: String?
    private let hasEncoder: Bool

    init(
        _ configuration: RunConfiguration, isAdapter: Bool, mergeObstacle: String?, formObstacle: String?,
        hasEncoder: Bool
    ) {
        (self.configuration, self.isAdapter) = (configuration, isAdapter)
        (self.mergeObstacle, self.hasEncoder) = (mergeObstacle, hasEncoder)
        self.formObstacle = formObstacle ?? configuration.method.formObstacle
    }

    private var folder: String { configuration.training.outputFolder }
    private var isClassifier: Bool { configuration.task == .sequenceClassification }

    /// Lines for a shell that work as they are, but for the prompt.
    var commands: [String] {
        let model = "\(isAdapter ? "--adapter" : "--base") \(Self.word(folder))"
        // Stdin has been read.
        let file = (configuration.data.validation + configuration.data.train).first { $0 != StandardInput.path }
        let data = "--data \(Self.word(file ?? "FILE"))"
        var commands = [use(model, data), "peft eval \(model) \(data)"]
        if isAdapter, mergeObstacle == nil {
            commands.append("peft merge \(model) --output \(Self.word(folder + "-merged"))")
        }
        return commands
    }

    /// Texts take the form of the template by themselves where it has one field; more fields come from records.
    private func use(_ model: String, _ data: String) -> String {
        switch configuration.data.templates {
        case .labelled: "peft predict \(model) \(data)"
        case .conversation: "peft generate \(model) --prompt 'TEXT'"
        case .text: "peft generate \(model) --prompt 'TEXT'"
        case .completion(let prompt, _) where prompt.fieldNames.count == 1:
            "peft generate \(model) --as-trained --prompt 'TEXT'"
        case .completion: "peft generate \(model) \(data)"
        }
    }

    /// The lines of the card that show how libraries load it.
    var python: [String] {
        let method = type(of: configuration.method)
        if isAdapter, let obstacle = formObstacle ?? method.loadingObstacle {
            return ["\(obstacle).", ""]
        }
        let name =
            isClassifier
            ? "AutoModelForSequenceClassification" : hasEncoder ? "AutoModelForSeq2SeqLM" : "AutoModelForCausalLM"
        let count =
            configuration.data.labels.map { ", num_labels=\($0.count)" } ?? (isClassifier ? ", num_labels=1" : "")
        let origin = Self.python(isAdapter ? configuration.modelPath : folder)
        let isForeign = method.library != "peft"
        var lines = isAdapter ? [isForeign ? "import \(method.library)" : "from peft import PeftModel"] : []
        lines += [
            "from transformers import \(name), AutoTokenizer", "",
            "tokenizer = AutoTokenizer.from_pretrained(\(origin))",
            "model = \(name).from_pretrained(\(origin)\(isAdapter ? count : ""))",
        ]
        if isAdapter {
            lines +=
                isForeign
                ? [
                    "\(method.library).init(model)",
                    "model.set_active_adapters(model.load_adapter(\(Self.python(folder)), use_safetensors=True))",
                ] : ["model = PeftModel.from_pretrained(model, \(Self.python(folder)))"]
        }
        lines.append("model.eval()")
        if configuration.data.templates.conversation != nil {
            lines += [
                "tokenizer.chat_template = open(\(Self.python(folder + "/" + BaseModel.chatTemplateName))).read()",
                "ids = tokenizer.apply_chat_template([{\"role\": \"user\", \"content\": \"TEXT\"}],",
                "    add_generation_prompt=True, return_dict=True, return_tensors=\"pt\")",
            ]
        } else {
            lines.append("ids = tokenizer(\"TEXT\", return_tensors=\"pt\")")
        }
        lines.append(
            isClassifier
                ? "print(model(**ids).logits)"
                : "print(tokenizer.decode(model.generate(**ids, max_new_tokens=60)[0], skip_special_tokens=True))")
        return ["or in Python, where the text has to look as the template below makes it:", ""]
            + Markdown.block(lines, "python")
    }

    /// A string of JSON is one of Python too.
    private static func python(_ text: String) -> String { JSONValue.string(text).text(.compact) }

    /// Text as one word of a shell's command.
    private static func word(_ text: String) -> String {
        let plain = text.utf8.allSatisfy { byte in
            byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || "/._-+,:@%=".utf8.contains(byte)
        }
        return plain && !text.isEmpty
            ? text
            : "'"
                + text.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "'\\''") + "'"
    }
}
