import Diagnostics
import Testing

@Suite("Numbers with a point") struct DecimalNumbersTests {
    @Test("have as many digits behind it as are asked for")
    func digits() {
        #expect(12.3.text(decimals: 2) == "12.30" && 0.005.text(decimals: 3) == "0.005")
        #expect((-0.04).text(decimals: 1) == "0.0" && (-0.06).text(decimals: 1) == "-0.1")
        #expect(2.5.text(decimals: 0) == "2" && 1234567.0.text(decimals: 0) == "1234567")
        #expect(Double.nan.text(decimals: 2) == "nan" && Double.infinity.text(decimals: 1) == "inf")
        #expect(1e30.text(decimals: 2) == "1e+30")
    }
}
