public import Diagnostics
import Glibc

/// Putting a folder in the place of another, so that at every moment one of the two has the name.
public enum FolderSwap {
    /// Of the name that a folder to be replaced has for a moment, where the file system can't exchange two names.
    static let ending = ".replaced"

    /// Gives `path`, which a folder has, to the folder `other`, and removes the former one.
    ///
    /// - Parameter exchange: Exchanges two names in one step, as `renameat2` does; returns 0, or an error number.
    package static func replace(_ path: String, by other: String, exchange: (String, String) -> Int32) throws {
        let aside = AtomicFile.hiddenName(of: path, "replaced")
        switch exchange(other, path) {
        case 0:
            try FileSystem.synchronize(FileSystem.split(path).folder)
            try removeFormer(other)
        case EINVAL, ENOSYS, ENOTSUP, EPERM:
            try FileSystem.remove(aside)
            try FileSystem.rename(path, to: aside)
            do {
                try FileSystem.rename(other, to: path)
            } catch {
                _ = Glibc.rename(aside, path)
                throw error
            }
            try FileSystem.remove(aside)
        case let code:
            throw Problem("can't be replaced: \(systemMessage(code))", file: path, exitStatus: .cannotCreate)
        }
    }

    /// Removes what now has the name of an unfinished folder, unless another process has taken it for one.
    private static func removeFormer(_ path: String) throws {
        do throws(LockedFile.Failure) {
            guard let lock = try LockedFile.left(at: path, isFolder: true) else { return }
            try? FileSystem.removeContent(of: lock.descriptor, path: path)
        } catch .held { return } catch {}
        try FileSystem.remove(path)
    }

    /// Gives a folder its name back where a process ended between the two steps of a replacement, and warns of it.
    public static func recover(_ path: String, warn: WarningSink) throws {
        let aside = AtomicFile.hiddenName(of: path, "replaced")
        guard let lock = try? LockedFile.left(at: aside, isFolder: true) else { return }
        if FileSystem.exists(path) {
            try FileSystem.remove(aside)
        } else {
            try FileSystem.rename(aside, to: path)
            warn(
                Problem(
                    "an earlier run ended while it replaced this folder: what it held before is in place again",
                    file: path, severity: .warning))
        }
        _ = consume lock
    }

    /// Exchanges two names in one step, on file systems that can.
    static func exchange(_ first: String, _ second: String) -> Int32 { renameat2(first, second, 2) }
}

/// `renameat2` of Linux, which Swift's Glibc lacks: 1 replaces nothing, 2 exchanges. Returns 0, or an error number.
func renameat2(_ source: String, _ target: String, _ flags: UInt32) -> Int32 {
    typealias Function =
        @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    guard let program = dlopen(nil, RTLD_NOW), let symbol = dlsym(program, "renameat2") else { return ENOSYS }
    return unsafeBitCast(symbol, to: Function.self)(AT_FDCWD, source, AT_FDCWD, target, flags) == 0 ? 0 : errno
}
