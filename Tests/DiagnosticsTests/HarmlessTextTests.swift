import Diagnostics
import Testing

struct HarmlessTextTests {
    @Test("what a terminal would act on is written as an escape")
    func escapes() {
        #expect("\u{1B}[2Ja\rb\u{7}\u{7F}\u{9B}1m".harmless == "\\u001b[2Ja\\u000db\\u0007\\u007f\\u009b1m")
        #expect("a\u{202E}b\u{2066}".harmless == "a\\u202eb\\u2066")
        #expect("a\r\n".harmless == "a\\u000d\n")
    }

    @Test("all other text stays as it is", arguments: ["", "two\n\tlines", "größer – 𝄞 e\u{301}", "\u{200D}"])
    func unchanged(text: String) { #expect(text.harmless == text) }
}
