import ArgumentParser
import Diagnostics
import Glibc
import Host
import Ranks
import Tensors

Launch.occupyStandardStreams()
// A reader of the results that goes away is no accident: Console sees the failed write and ends the process quietly. A
// file that grows past the limit of files' sizes is a failed write too.
signal(SIGPIPE, SIG_IGN)
signal(SIGXFSZ, SIG_IGN)

do {
    // Until they have joined, each speaks for itself.
    if Communicator.launchedRank > 0 { Console.speaker = "rank \(Communicator.launchedRank)" }
    try Communicator.join()
    Console.speaker = Communicator.current.map { $0.isFirst ? nil : $0.name(of: $0.rank) } ?? nil
    var command = try Communicator.current.agree { try Peft.command(Launch.arguments) }
    guard Processor.isSupported else {
        throw Problem(
            "this processor can't run peft: the calculations are compiled for \(Processor.requirement)",
            exitStatus: .usage)
    }
    if let ranks = Communicator.current, !(command is any RankedCommand),
        Peft.configuration.subcommands.contains(where: { $0 == type(of: command) })
    {
        try ranks.agree { if ranks.isFirst { throw type(of: command).refusal(of: ranks) } }
    }
    try command.run()
    Console.finish()
    Communicator.current?.finish()
} catch {
    exit(RankedEnd(error).status)
}
