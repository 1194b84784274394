import Datasets
import Diagnostics
import Files
import Models

/// The memory that a run has for itself.
extension Trainer {
    /// What the optimizer's state takes of memory that the kernel can't write out to a scratch file.
    var residentStateBytes: Int { type(of: optimizer).isPaged ? 0 : optimizer.state.byteCount }

    /// Takes memory for the optimizer's state where no run's folder is to be touched.
    func allocateTrialState() throws {
        guard type(of: optimizer).isPaged else { return optimizer.state.allocate() }
        try optimizer.state.allocate(in: settings.optimizer.pagingFolder ?? FileSystem.temporaryFolder)
    }

    /// What is kept in a run of so many micro-batches an epoch. Ranks would each come to hold the states of all records, and
    /// wait for each other's.
    func hiddenStatePlan(batchCount: Int) -> HiddenStatePlan? {
        if batchCount == batches.count { return hiddenStatePlan }
        return ranks == nil
            ? HiddenStatePlan(
                base.model, training: batches.dataset, validation: validation, batchCount: batchCount, settings) : nil
    }

    func allocateState(in outputFolder: String) throws {
        guard type(of: optimizer).isPaged else { return optimizer.state.allocate() }
        let folder = settings.optimizer.pagingFolder ?? outputFolder
        if ScratchMemory.isInMemory(folder) {
            observer.warned(
                Problem(
                    "the folder's files lie in memory themselves, so that the optimizer's state there saves none: name "
                        + "one on a disk by training.optim_paging_dir", file: folder, severity: .warning))
        }
        try optimizer.state.allocate(in: folder)
    }

    func makeHiddenStateStore(in outputFolder: String) throws {
        guard let plan = hiddenStatePlan, plan.rowCount > 0 else { return }
        let folder = settings.hiddenStates.scratchFolder ?? outputFolder
        if plan.scratchBytes > 0, ScratchMemory.isInMemory(folder) {
            observer.warned(
                Problem(
                    "the folder's files lie in memory themselves, so that hidden states there save none: name one on a "
                        + "disk by training.hidden_states_dir", file: folder, severity: .warning))
        }
        do {
            hiddenStates = try HiddenStateStore(plan, of: base.model, batches, folder: folder)
        } catch var problem as Problem where problem.exitStatus == .inputOutput {
            problem.message += "; hidden states aren't kept, and are computed anew each time"
            problem.severity = .warning
            observer.warned(problem)
        }
    }
}
