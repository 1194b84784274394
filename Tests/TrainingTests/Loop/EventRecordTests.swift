import Foundation
import JSONText
import TestSupport
import Testing
import Training

@Suite("Records of event files") struct EventRecordTests {
    private static let fixtures = try? JSONNode.load(path: fixture("tensorboard/events.json").path())

    @Test("are those that TensorBoard's writer writes, to the byte")
    func records() throws {
        let records = try #require(Self.fixtures).array("records")
        #expect(records.count == 8)
        for record in records {
            let content: EventRecord.Content =
                switch try record.string("kind") {
                case "version": .fileVersion(writer: try record.string("writer"))
                case "start": .sessionStart
                case "text": .text(tag: try record.string("tag"), try record.string("text"))
                default:
                    .scalars(
                        try record.array("scalars").map { (try $0.string("tag"), Float(try $0.number("value"))) })
                }
            let event = EventRecord(
                seconds: try record.number("wall_time"), step: try record.integer("step"), content)
            let bytes = event.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(try bytes == record.string("bytes"))
        }
    }

    @Test("have checksums as TensorBoard's library computes them")
    func masked() throws {
        for entry in try #require(Self.fixtures).array("checksums") {
            #expect(try Int(CastagnoliChecksum.masked(entry.string("text").utf8)) == entry.integer("masked"))
        }
    }

    @Test("have checksums as in RFC 3720, appendix B.4")
    func checksums() {
        #expect(CastagnoliChecksum.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CastagnoliChecksum.of([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CastagnoliChecksum.of((0..<32).map { UInt8($0) }) == 0x46DD_794E)
        #expect(CastagnoliChecksum.of((0..<32).map { UInt8(31 - $0) }) == 0x113F_DB5C)
        let command: [UInt8] = [
            0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0,
            0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
        ]
        #expect(CastagnoliChecksum.of(command) == 0xD996_3A56)
        #expect(CastagnoliChecksum.of(Array("123456789".utf8)) == 0xE306_9283)
        #expect(CastagnoliChecksum.of([]) == 0)
    }
}
