import Files
import Methods

/// What a run leaves of its course, beside the model.
extension Trainer {
    /// Opens the log of a run that goes on after `step`; TensorBoard is told from then on what it is told, where that is asked
    /// for.
    func openLog(after step: Int) throws -> MetricsLog {
        let log = try MetricsLog(folder: settings.outputFolder, continuingAfter: step)
        guard settings.reports.isToTensorBoard else { return log }
        let model = FileSystem.join(base.folder, "config.json")
        func code(_ text: String, _ language: String) -> String {
            Markdown.block(text.split(separator: "\n").map(String.init), language).joined(separator: "\n")
        }
        try log.tellTensorBoard(
            in: settings.reports.eventFolder(of: settings.outputFolder), after: step,
            texts: [
                ("args", code(configuration.resolvedYAML, "yaml")),
                ("model_config", code(try FileSystem.text(of: model), "json")),
            ])
        return log
    }

    /// Draws the losses so far.
    func drawLosses(_ progress: TrainingProgress, _ log: MetricsLog?, in folder: RunFolder?) throws {
        guard let log, let folder else { return }
        try LossPicture(log.course, bestStep: progress.best.step).write(to: folder.path)
    }
}
