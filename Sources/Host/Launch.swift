import CHost
import Glibc

/// How the process was started.
public enum Launch {
    /// The arguments behind the program's name.
    public static var arguments: [String] {
        (1..<max(1, peft_argument_count())).compactMap { peft_argument($0).map { String(cString: $0) } }
    }

    /// A path that starts this program again.
    public static var executable: String {
        // Stands for the file itself, whatever has become of its name.
        let link = "/proc/self/exe"
        if access(link, X_OK) == 0 { return link }
        return peft_executable().map { String(cString: $0) } ?? link
    }

    /// Keeps files from getting the numbers of standard streams that are closed; to be called before any is opened.
    /// Reading and writing these streams goes on to fail.
    public static func occupyStandardStreams() { peft_occupy_standard_streams() }
}
