import Glibc

/// The implementations of MPI, which have handles, libraries and launchers of their own.
package enum Family: Sendable {
    case openMPI, mpich

    var name: String { self == .openMPI ? "Open MPI" : "MPICH" }

    /// The names under which the library is installed; Debian has a name of its own for MPICH's.
    var libraries: [String] { self == .openMPI ? ["libmpi.so.40"] : ["libmpich.so.12", "libmpi.so.12"] }

    var package: String { self == .openMPI ? "libopenmpi3" : "libmpich12" }

    /// The option of its launcher that lets processes run on every processor.
    var unbinding: String { self == .openMPI ? "--bind-to none" : "-bind-to none" }
}

/// What started this process as one of several, by the variables that it left.
package struct Launcher: Equatable, Sendable {
    package let family: Family
    /// How many processes there are.
    package let count: Int
    package let rank: Int
    /// The variable that has the count.
    package let variable: String

    /// nil where no launcher of MPI started the process.
    package static func found(in environment: (String) -> String?) -> Launcher? {
        func number(_ name: String) -> Int? { environment(name).flatMap(Int.init) }
        let places: [(family: Family, count: String, rank: String)] = [
            (.openMPI, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), (.mpich, "PMI_SIZE", "PMI_RANK"),
            // Slurm's srun --mpi=pmix, by which Open MPI finds the other processes.
            (.openMPI, "SLURM_STEP_NUM_TASKS", "PMIX_RANK"),
        ]
        for place in places {
            guard let count = number(place.count), let rank = number(place.rank), count > 0,
                (0..<count).contains(rank)
            else {
                continue
            }
            return Launcher(family: place.family, count: count, rank: rank, variable: place.count)
        }
        return nil
    }

    /// That of this process.
    static var ofThisProcess: Launcher? { found { name in getenv(name).map { String(cString: $0) } } }
}
