import Glibc
import Testing

/// The two ends of a new pseudo-terminal. `posix_openpt` and its like are hidden from Swift; this is what they do.
func pseudoTerminal() throws -> (main: Int32, terminal: Int32) {
    let (setLock, getNumber) = (UInt(0x4004_5431), UInt(0x8004_5430))
    let main = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    var (lock, number) = (Int32(0), UInt32(0))
    try #require(main >= 0 && ioctl(main, setLock, &lock) == 0 && ioctl(main, getNumber, &number) == 0)
    let terminal = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
    try #require(terminal >= 0)
    return (main, terminal)
}
