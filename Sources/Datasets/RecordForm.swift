/// Records whose fields everyone calls the same.
enum RecordForm: String, CaseIterable, Sendable {
    /// `instruction`, perhaps `input`, and `output`, in the words that Stanford's Alpaca was trained in (Taori et al. 2023).
    case alpaca

    var templates: ExampleTemplates {
        switch self {
        case .alpaca: .completion(prompt: Self.alpacaPrompt, completion: Template(field: "output"))
        }
    }

    private static var alpacaPrompt: Template {
        let (instruction, input) = (0, 1)
        return Template(
            [
                .literal("Below is an instruction that describes a task"),
                .part([.literal(", paired with an input that provides further context")], needs: [input]),
                .literal(
                    ". Write a response that appropriately completes the request.\n\n### Instruction:\n"),
                .field(instruction), .literal("\n\n"),
                .part([.literal("### Input:\n"), .field(input), .literal("\n\n")], needs: [input]),
                .literal("### Response:"),
            ], fields: [Field("instruction"), Field("input", isOptional: true)], source: "format: alpaca")
    }

    private typealias Field = Template.Field
}
