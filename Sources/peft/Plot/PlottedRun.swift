import Charts
import Diagnostics
import Files
import Training

/// A run whose curves are drawn.
struct PlottedRun {
    let folder: String
    let metrics: RunMetrics
    /// The end of the path by which it is told apart from the others.
    var name = ""

    /// Reads runs, each of which is a folder with `metrics.jsonl`, or that file.
    static func read(_ paths: [String]) throws -> [PlottedRun] {
        var runs: [PlottedRun] = []
        for path in paths {
            let run = try PlottedRun(path)
            if let other = runs.first(where: { FileSystem.isSame($0.folder, run.folder) }) {
                throw Problem("is the same run as '\(other.folder)': give each once", file: path, exitStatus: .usage)
            }
            runs.append(run)
        }
        let names = distinctNames(runs.map { $0.folder })
        for index in runs.indices { runs[index].name = names[index] }
        return runs
    }

    private init(_ path: String) throws {
        let isFile = FileSystem.isFile(path) && FileSystem.split(path).name == RunMetrics.fileName
        folder = isFile ? FileSystem.split(path).folder : path
        if !FileSystem.exists(path) { throw Problem("no such folder", file: path, exitStatus: .missingInput) }
        if !FileSystem.isFolder(folder) {
            throw Problem(
                "is no run's folder: give the training.output_dir of a run", file: path, exitStatus: .missingInput)
        }
        if !FileSystem.isFile(FileSystem.join(folder, RunMetrics.fileName)) { throw try Self.noRun(folder) }
        metrics = try RunMetrics(folder: folder)
        if metrics.isEmpty {
            throw Problem("no step was logged yet", file: FileSystem.join(folder, RunMetrics.fileName))
        }
    }

    private static let mostNamed = 6

    private static func noRun(_ folder: String) throws -> Problem {
        let inner = try FileSystem.names(in: folder).map { FileSystem.join(folder, $0) }
            .filter { FileSystem.isFile(FileSystem.join($0, RunMetrics.fileName)) }
        let advice =
            inner.isEmpty
            ? "give the training.output_dir of a run"
            : "the runs in it are \(inner.prefix(mostNamed).joined(separator: " "))"
                + (inner.count > mostNamed ? " and \(inner.count - mostNamed) more" : "")
        return Problem(
            "holds no \(RunMetrics.fileName), and so no run: \(advice)", file: folder, exitStatus: .missingInput)
    }

    /// The ends of paths, each of as many folders as make it another than the others.
    static func distinctNames(_ folders: [String]) -> [String] {
        let paths = folders.map { folder -> [Substring] in
            let parts = folder.split(separator: "/").filter { $0 != "." }
            return parts.isEmpty || parts.last == ".." ? FileSystem.realPath(folder).split(separator: "/") : parts
        }
        var counts = [Int](repeating: 1, count: paths.count)
        while true {
            let names = zip(paths, counts).map { $0.suffix($1).joined(separator: "/") }
            let again = names.indices.filter { index in
                counts[index] < paths[index].count && names.count { $0 == names[index] } > 1
            }
            if again.isEmpty { return zip(names, folders).map { $0.isEmpty ? $1 : $0 } }
            for index in again { counts[index] += 1 }
        }
    }
}

/// One line of numbers of a run.
struct PlottedCurve {
    let run: PlottedRun
    let key: String
    let points: [ChartPoint]
    /// What is drawn in their place where they go up and down.
    let means: [ChartPoint]
    let window: Int
    /// The steps of the points.
    let steps: [Int]
    /// The number of the best point; nil where there is no better and worse.
    let best: Int?

    /// nil where the run hasn't got the key.
    init?(_ run: PlottedRun, _ key: String, window: Int?, over axis: RunMetrics.Axis) {
        points = run.metrics.points(of: key, over: axis)
        if points.isEmpty { return nil }
        (self.run, self.key) = (run, key)
        self.window = window ?? Smoothing.window(for: points)
        means = Smoothing.means(points, window: self.window)
        let own = run.metrics.points(of: key)
        steps = own.count == points.count ? own.map { Int(clamping: $0.x) } : []
        let (drawn, indices) = (means, means.indices)
        best = RunMetrics.prefersGreater(key).flatMap { isGreater in
            indices.min { isGreater ? drawn[$0].y > drawn[$1].y : drawn[$0].y < drawn[$1].y }
        }
    }

    /// The best value and its step in words.
    var bestText: String? {
        guard let best, let isGreater = RunMetrics.prefersGreater(key) else { return nil }
        let place = steps.indices.contains(best) ? " after step \(steps[best].grouped)" : ""
        return "\(isGreater ? "highest" : "lowest") \(means[best].y.brief)\(place)"
    }
}

extension Double {
    /// With four digits behind the point, or as `1.00e-5` where those say little.
    var brief: String { magnitude >= 0.01 || self == 0 ? text(decimals: 4) : scientific }
}
