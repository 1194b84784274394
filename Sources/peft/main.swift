import ArgumentParser
import Diagnostics
import Glibc
import Tensors

// A reader of the results that goes away is no accident: Console sees the failed write and ends the process quietly.
signal(SIGPIPE, SIG_IGN)

var command: any ParsableCommand
do {
    command = try Peft.parseAsRoot()
} catch {
    Peft.exit(withError: error)
}

guard Processor.isSupported else {
    Console.report(
        Problem(
            "this processor can't run peft: the calculations are compiled for \(Processor.requirement)",
            exitStatus: .usage))
    exit(ExitStatus.usage.rawValue)
}

do {
    try command.run()
    Console.finish()
} catch {
    exit(Failure(error).report())
}
