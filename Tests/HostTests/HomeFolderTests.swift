import Glibc
import Host
import Testing

struct HomeFolderTests {
    @Test("~ is the home folder where it is a path's first part")
    func expanded() async {
        await #expect(processExitsWith: .success) {
            setenv("HOME", "/home/ann", 1)
            let cases = [
                "~": "/home/ann", "~/runs/a": "/home/ann/runs/a", "~other/a": "~other/a", "./~/a": "./~/a", "a~": "a~",
                "": "",
            ]
            exit(cases.allSatisfy { $0.key.expandingHome == $0.value } ? 0 : 1)
        }
    }
}
