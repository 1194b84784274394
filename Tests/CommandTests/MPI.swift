import Foundation
import Glibc

/// An implementation of MPI that is installed, as Debian has it.
struct MPI: CustomStringConvertible {
    let name: String
    let launcher: String
    /// The library of the other one.
    let foreignLibrary: String

    var description: String { name }

    static let known = [
        MPI(name: "Open MPI", launcher: "/usr/bin/mpirun.openmpi", foreignLibrary: "libmpich.so.12"),
        MPI(name: "MPICH", launcher: "/usr/bin/mpirun.mpich", foreignLibrary: "libmpi.so.40"),
    ]

    static let installed = known.filter { FileManager.default.fileExists(atPath: $0.launcher) }

    /// Open MPI takes neither the root user nor more processes than processors without being asked to, and binds few
    /// processes to a processor each.
    static let environment = [
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    ]

    func start(
        _ count: Int, _ arguments: [String], input: String = "", environment: [String: String] = [:]
    ) throws -> RunningTool {
        try RunningTool(
            arguments, launcher: [launcher, "-n", "\(count)"], input: input,
            environment: Self.environment.merging(environment) { $1 })
    }

    func run(
        _ count: Int, _ arguments: [String], input: String = "", environment: [String: String] = [:]
    ) throws -> Outcome {
        try start(count, arguments, input: input, environment: environment).outcome()
    }
}

/// The processes that a launcher started with `argument` among theirs, by their ranks.
func ranks(of argument: String) -> [Int: pid_t] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    var found: [Int: pid_t] = [:]
    for process in names.compactMap({ pid_t($0) }) {
        func parts(_ file: String) -> [String] {
            let content = FileManager.default.contents(atPath: "/proc/\(process)/\(file)") ?? Data()
            return content.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        }
        let command = parts("cmdline")
        guard command.first == binary.path(percentEncoded: false), command.contains(argument) else { continue }
        for variable in parts("environ") {
            let pair = variable.split(separator: "=", maxSplits: 1)
            if pair.count == 2, ["OMPI_COMM_WORLD_RANK", "PMI_RANK"].contains(pair[0]), let rank = Int(pair[1]) {
                found[rank] = process
            }
        }
    }
    return found
}
