import Diagnostics
import Testing

struct GroupedNumbersTests {
    @Test(arguments: [
        (0, "0"), (999, "999"), (1000, "1,000"), (-1000, "-1,000"), (320_858, "320,858"), (1_234_567, "1,234,567"),
        (Int.min, "-9,223,372,036,854,775,808"),
    ])
    func `Numbers have a comma before each three digits`(number: Int, text: String) {
        #expect(number.grouped == text)
    }
}
