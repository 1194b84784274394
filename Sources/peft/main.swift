import ArgumentParser
import Diagnostics
import Glibc
import Host
import Tensors

Launch.occupyStandardStreams()
// A reader of the results that goes away is no accident: Console sees the failed write and ends the process quietly. A
// file that grows past the limit of files' sizes is a failed write too.
signal(SIGPIPE, SIG_IGN)
signal(SIGXFSZ, SIG_IGN)

do {
    var command = try Peft.command(Launch.arguments)
    guard Processor.isSupported else {
        throw Problem(
            "this processor can't run peft: the calculations are compiled for \(Processor.requirement)",
            exitStatus: .usage)
    }
    try command.run()
    Console.finish()
} catch {
    exit(Failure(error).report())
}
