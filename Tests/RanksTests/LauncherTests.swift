import Ranks
import Testing

@Suite("What started a process")
struct LauncherTests {
    private func found(_ variables: [String: String]) -> Launcher? { Launcher.found { variables[$0] } }

    @Test("is told by the variables of Open MPI, of MPICH, and of Slurm where that has PMIx")
    func families() throws {
        let open = try #require(found(["OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3"]))
        #expect(open.family == .openMPI)
        #expect((open.count, open.rank) == (4, 3))
        #expect(open.variable == "OMPI_COMM_WORLD_SIZE")
        let hydra = try #require(found(["PMI_SIZE": "2", "PMI_RANK": "0", "PMI_FD": "6"]))
        #expect(hydra.family == .mpich)
        #expect((hydra.count, hydra.rank) == (2, 0))
        #expect(found(["PMIX_RANK": "1", "SLURM_STEP_NUM_TASKS": "8"])?.count == 8)
        #expect(found(["PMIX_RANK": "1", "SLURM_STEP_NUM_TASKS": "8"])?.family == .openMPI)
    }

    @Test("is nothing where there are no variables, or where they make no sense")
    func none() {
        #expect(found([:]) == nil)
        // srun without MPI starts processes that don't know of each other.
        #expect(found(["SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "1"]) == nil)
        for (count, rank) in [("", "0"), ("two", "0"), ("2", "2"), ("-1", "0"), ("0", "0"), ("2", "")] {
            #expect(found(["PMI_SIZE": count, "PMI_RANK": rank]) == nil)
        }
    }
}
