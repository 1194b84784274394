import Configuration
import Files
import Glibc
import Host

/// Whom the `training` section tells to be told of a run's course, beside its `metrics.jsonl`.
public struct ReportSettings: Sendable, Hashable {
    /// Whether TensorBoard's event files are written.
    public var isToTensorBoard = false
    /// The folder for them; nil for one in the run's own.
    public var folder: String?

    /// What transformers reports to, whose names a configuration may bring along.
    private static let others = [
        "azure_ml", "comet_ml", "mlflow", "neptune", "trackio", "wandb", "codecarbon", "clearml", "dagshub", "flyte",
        "dvclive", "swanlab", "kubeflow",
    ]
    private static let known = ["none", "tensorboard", "all"]

    init(_ section: ConfigSection) {
        let words = section.optionalStrings("report_to") ?? []
        folder = section.optionalPath("logging_dir")
        isToTensorBoard = words.contains("tensorboard") || words.contains("all")
        for word in words where !Self.known.contains(word) {
            if Self.others.contains(word) {
                section.warn(
                    "nothing is reported to \(word): metrics.jsonl in output_dir has it all, and tensorboard is written "
                        + "event files for", at: "report_to")
            } else if ["false", "no", "0", ""].contains(word) {
                continue
            } else {
                let near = suggestion(for: word, among: Self.known).map { "; did you mean '\($0)'?" } ?? ""
                section.record("expected none, tensorboard or all, got '\(word)'\(near)", at: "report_to")
            }
        }
        if folder != nil, !isToTensorBoard {
            section.warn("has no effect without report_to: tensorboard", at: "logging_dir")
        }
    }

    /// Where the event files of a run in `output` go.
    func eventFolder(of output: String) -> String {
        let given = folder ?? getenv("TENSORBOARD_LOGGING_DIR").map { String(cString: $0).expandingHome }
        return given.flatMap { $0.isEmpty ? nil : $0 } ?? FileSystem.join(output, EventLog.folderName)
    }
}
