import Configuration
import Diagnostics
import Glibc

extension ConfigSection {
    /// - Parameter count: How many numbers a setting asks to train.
    /// - Throws: `Problems` where their values, gradients and the two moments of the optimizer need more memory than the
    ///   machine has.
    func checkMemory(_ count: Double, at key: String) throws {
        let bytes = count * 16
        let available = Double(sysconf(Int32(_SC_PHYS_PAGES))) * Double(sysconf(Int32(_SC_PAGESIZE)))
        guard bytes > available else { return }
        func gigabytes(_ bytes: Double) -> String { "\((bytes / 1e9).rounded()) GB" }
        throw Problems([
            problem(
                "asks for \(gigabytes(bytes)) to train in, and this machine has \(gigabytes(available)): give less",
                at: key)
        ])
    }
}
