import Diagnostics
import Glibc
import Host

/// MPI's functions, of whichever library is there: found when the process runs, so that one without a launcher needs none.
///
/// A handle is a pointer in Open MPI and an `int` in MPICH. All are passed in 64 bits, of which the latter reads the lower
/// half.
struct MessagePassing {
    typealias Handle = UInt

    let family: Family
    /// The file, and what the library calls itself.
    let path: String
    let world: Handle
    let float: Handle
    let word: Handle
    let byte: Handle

    private typealias Start =
        @convention(c) (UnsafeRawPointer?, UnsafeRawPointer?, Int32, UnsafeMutablePointer<Int32>)
        -> Int32
    private typealias Ask = @convention(c) (Handle, UnsafeMutablePointer<Int32>) -> Int32
    private typealias Exchange =
        @convention(c) (
            UnsafeRawPointer?, Int32, Handle, UnsafeMutableRawPointer?, Int32, Handle, Handle
        ) -> Int32
    private typealias Spread = @convention(c) (UnsafeMutableRawPointer?, Int32, Handle, Int32, Handle) -> Int32
    private typealias Wait = @convention(c) (Handle) -> Int32
    private typealias Abort = @convention(c) (Handle, Int32) -> Int32
    private typealias End = @convention(c) () -> Int32

    private let start: Start
    private let rankOf: Ask
    private let countOf: Ask
    private let exchangeAll: Exchange
    private let gatherAll: Exchange
    private let spread: Spread
    private let wait: Wait
    private let abortAll: Abort
    private let end: End

    /// The variable that names the library's file.
    static let variable = "PEFT_MPI_LIBRARY"

    /// Loads the library of the launcher's family, or the one that the variable names.
    ///
    /// - Throws: `Problem` where there is none.
    init(for launcher: Launcher) throws(Problem) {
        let chosen = getenv(Self.variable).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        let names = chosen.map { [$0] } ?? launcher.family.libraries
        var reasons: [String] = []
        var loaded: UnsafeMutableRawPointer?
        for name in names where loaded == nil {
            // Open MPI's plugins look for the library's functions among those that all see.
            loaded = dlopen(name, RTLD_NOW | RTLD_GLOBAL)
            if loaded == nil { reasons.append(dlerror().map { String(cString: $0) } ?? name) }
        }
        let what =
            "one of \(launcher.count) processes was started by a launcher of \(launcher.family.name) (\(launcher.variable))"
        guard let library = loaded else {
            throw Problem(
                "\(what), and its library can't be loaded: \(reasons.joined(separator: "; ")). "
                    + (chosen == nil
                        ? "Install it (Debian: \(launcher.family.package)), put its folder into LD_LIBRARY_PATH, or name the file "
                            + "by \(Self.variable)"
                        : "\(Self.variable) has to name the library of \(launcher.family.name)"),
                exitStatus: .missingInput)
        }
        func missing(_ name: String) -> Problem {
            Problem(
                "\(what), and the library has no \(name): it is none of MPI", file: chosen ?? names[0],
                exitStatus: .missingInput)
        }
        func symbol(_ name: String) throws(Problem) -> UnsafeMutableRawPointer {
            guard let found = dlsym(library, name) else { throw missing(name) }
            return found
        }
        start = unsafeBitCast(try symbol("MPI_Init_thread"), to: Start.self)
        rankOf = unsafeBitCast(try symbol("MPI_Comm_rank"), to: Ask.self)
        countOf = unsafeBitCast(try symbol("MPI_Comm_size"), to: Ask.self)
        exchangeAll = unsafeBitCast(try symbol("MPI_Alltoall"), to: Exchange.self)
        gatherAll = unsafeBitCast(try symbol("MPI_Allgather"), to: Exchange.self)
        spread = unsafeBitCast(try symbol("MPI_Bcast"), to: Spread.self)
        wait = unsafeBitCast(try symbol("MPI_Barrier"), to: Wait.self)
        abortAll = unsafeBitCast(try symbol("MPI_Abort"), to: Abort.self)
        end = unsafeBitCast(try symbol("MPI_Finalize"), to: End.self)
        path = libraryPath(ofSymbol: try symbol("MPI_Barrier")) ?? chosen ?? names[0]
        func handle(_ name: String) throws(Problem) -> Handle { Handle(bitPattern: try symbol(name)) }
        if dlsym(library, "ompi_mpi_comm_world") != nil {
            family = .openMPI
            world = try handle("ompi_mpi_comm_world")
            float = try handle("ompi_mpi_float")
            word = try handle("ompi_mpi_uint64_t")
            byte = try handle("ompi_mpi_byte")
        } else {
            family = .mpich
            (world, float, word, byte) = (0x4400_0000, 0x4c00_040a, 0x4c00_083e, 0x4c00_010d)
        }
    }

    /// Joins the other processes. Only the thread that calls this may call the others.
    func initialize() {
        var provided: Int32 = 0
        let onlyThisThread: Int32 = 1
        check(start(nil, nil, onlyThisThread, &provided), "MPI_Init_thread")
    }

    var rank: Int {
        var rank: Int32 = 0
        check(rankOf(world, &rank), "MPI_Comm_rank")
        return Int(rank)
    }

    var count: Int {
        var count: Int32 = 0
        check(countOf(world, &count), "MPI_Comm_size")
        return Int(count)
    }

    /// Sends the part r of `sent`, of `count` floats, to rank r, and gets as many from each into `received`.
    func exchange(_ sent: UnsafePointer<Float>, _ received: UnsafeMutablePointer<Float>, count: Int) {
        check(exchangeAll(sent, Int32(count), float, received, Int32(count), float, world), "MPI_Alltoall")
    }

    /// Gets `count` floats of every rank, in their order.
    func gather(_ sent: UnsafePointer<Float>, _ received: UnsafeMutablePointer<Float>, count: Int) {
        check(gatherAll(sent, Int32(count), float, received, Int32(count), float, world), "MPI_Allgather")
    }

    /// The same with words.
    func gather(_ sent: UnsafePointer<UInt64>, _ received: UnsafeMutablePointer<UInt64>, count: Int) {
        check(gatherAll(sent, Int32(count), word, received, Int32(count), word, world), "MPI_Allgather")
    }

    /// Gives the bytes of rank `root` to all.
    func broadcast(_ bytes: UnsafeMutablePointer<UInt8>, count: Int, from root: Int) {
        check(spread(bytes, Int32(count), byte, Int32(root), world), "MPI_Bcast")
    }

    func barrier() { check(wait(world), "MPI_Barrier") }

    func abort(status: Int32) { _ = abortAll(world, status) }

    func finalize() { check(end(), "MPI_Finalize") }

    /// The library itself ends all processes where it fails, unless it was told otherwise, which it wasn't.
    private func check(_ status: Int32, _ name: String) { require(status == 0, "\(name): status \(status)") }
}
