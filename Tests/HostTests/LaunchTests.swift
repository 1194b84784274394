import Glibc
import Host
import Testing

struct LaunchTests {
    @Test("the arguments are those of the standard library, which reads them from /proc")
    func arguments() { #expect(Launch.arguments == Array(CommandLine.arguments.dropFirst())) }

    @Test("the program's file can be started") func executable() { #expect(access(Launch.executable, X_OK) == 0) }
}
