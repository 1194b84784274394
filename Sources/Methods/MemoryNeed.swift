import Configuration
import Diagnostics
import Glibc

/// The memory of the machine in bytes.
package var machineMemory: Double { Double(sysconf(Int32(_SC_PHYS_PAGES))) * Double(sysconf(Int32(_SC_PAGESIZE))) }

package func gigabytes(_ bytes: Double) -> String { "\((bytes / 1e9).rounded()) GB" }

extension ConfigSection {
    /// - Parameter count: How many numbers a setting asks to train.
    /// - Throws: `Problems` where their values and gradients alone, whatever the optimizer remembers, need more memory than
    ///   the machine has.
    func checkMemory(_ count: Double, at key: String) throws {
        let bytes = count * 8
        let available = machineMemory
        guard bytes > available else { return }
        throw Problems([
            problem(
                "asks for \(gigabytes(bytes)) to train in, and this machine has \(gigabytes(available)): give less",
                at: key)
        ])
    }
}
