import Checkpoints
public import Configuration
import Diagnostics
import Files

/// The task and the templates over records that what a folder holds was trained with.
///
/// A run's folder tells them by its configuration; what is made of its result, such as a merged model, by a file of its
/// own with the same sections.
public enum TrainedTemplates {
    public static let fileName = KnownFiles.templatesName

    /// The configuration that tells them; nil where the folder has none.
    ///
    /// - Parameter folder: Of a model or an adapter, or a name in the local Hub cache.
    public static func document(in folder: String) throws -> ConfigDocument? {
        let folder = FileSystem.isFolder(folder) ? folder : (try? HubCache.resolve(folder)) ?? folder
        for name in [RunFolder.configurationName, fileName] {
            let path = FileSystem.join(folder, name)
            if FileSystem.isFile(path) { return try ConfigDocument.load(yamlFile: path) }
        }
        return nil
    }

    /// Writes those of `sources`, folders that `folder`'s content is made of, beside it; nothing where none tells any.
    ///
    /// Where they differ none can be told for all, which is a warning.
    static func carry(from sources: [String], to folder: String, warn: WarningSink) throws {
        try carryChatTemplate(from: sources, to: folder)
        var found: (source: String, text: String)?
        for source in sources {
            guard let text = try text(source) else { continue }
            if let found, found.text != text {
                warn(
                    Problem(
                        "'\(found.source)' and '\(source)' were trained with different templates, so none go with the "
                            + "result: give them to eval and generate", severity: .warning))
                return
            }
            found = found ?? (source, text)
        }
        guard let found else { return }
        try AtomicFile.write(heading + found.text, to: FileSystem.join(folder, fileName))
    }

    /// The chat template that all of them were trained with goes before the base model's.
    private static func carryChatTemplate(from sources: [String], to folder: String) throws {
        let paths = sources.map { FileSystem.join($0, BaseModel.chatTemplateName) }
        guard paths.allSatisfy(FileSystem.isFile), let texts = try? paths.map(FileSystem.text), let text = texts.first,
            texts.allSatisfy({ $0 == text })
        else { return }
        try AtomicFile.write(text, to: FileSystem.join(folder, BaseModel.chatTemplateName))
    }

    private static let heading =
        "# What this was trained with: peft eval, and peft generate --as-trained, read the templates here.\n"

    /// Files of one machine, and what belongs to the course of a training.
    private static let leftOut: Set<String> = [
        "train", "validation", "validation_fraction", "shuffle", "group_by_prompt",
    ]

    /// The sections that tell templates; nil where a folder has none.
    private static func text(_ folder: String) throws -> String? {
        guard let document = try document(in: folder), case .mapping(let sections) = document.node.content else {
            return nil
        }
        let entries = sections.compactMap { entry -> ConfigValue.Entry? in
            switch (entry.key, entry.value.content) {
            case ("task", .scalar): ConfigValue.Entry(entry.key, ConfigValue(entry.value))
            case ("data", .mapping(let values)):
                ConfigValue.Entry(
                    entry.key,
                    .mapping(
                        values.filter { !leftOut.contains($0.key) }.map { .init($0.key, ConfigValue($0.value)) }))
            default: nil
            }
        }
        return entries.contains { $0.key == "data" } ? ConfigValue.mapping(entries).yaml() : nil
    }
}
