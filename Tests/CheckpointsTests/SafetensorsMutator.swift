/// A reproducible source of broken safetensors files: valid ones whose bytes, or whose header's fields, are changed.
struct SafetensorsMutator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64 (Steele et al. 2014).
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// The next file: by turns one with changed bytes, and one whose header is valid JSON with changed fields.
    mutating func nextFile(_ index: Int) -> [UInt8] {
        var header = Header(using: &self)
        if index % 2 == 0 {
            var bytes = file(header)
            for _ in 0..<Int.random(in: 1...3, using: &self) { changeBytes(&bytes) }
            return bytes
        }
        for _ in 0..<Int.random(in: 1...2, using: &self) { header.change(using: &self) }
        return file(header)
    }

    private func file(_ header: Header) -> [UInt8] { safetensors(header.text, data: header.dataCount) }

    private mutating func changeBytes(_ bytes: inout [UInt8]) {
        let index = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &self)
        switch Int.random(in: 0..<8, using: &self) {
        case 0 where !bytes.isEmpty: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &self)
        case 1 where !bytes.isEmpty: bytes[index] = UInt8.random(in: 0...255, using: &self)
        case 2: bytes.insert(UInt8.random(in: 0...255, using: &self), at: index)
        case 3 where !bytes.isEmpty: bytes.remove(at: index)
        case 4: bytes.removeLast(bytes.count - index)
        case 5: bytes += [UInt8](repeating: 0x20, count: Int.random(in: 1...9, using: &self))
        case 6 where bytes.count > 8:
            // The header's length, which few changes would hit otherwise.
            let place = Int.random(in: 0..<8, using: &self)
            bytes[place] =
                [0, 1, 0x7F, 0x80, 0xFF, bytes[place] &+ 1, bytes[place] &- 1].randomElement(using: &self) ?? 0
        case 7 where !bytes.isEmpty:
            // What JSON's grammar turns on.
            bytes[index] = Array("{}[]\",:\\-+.eE0 \n\0tfnu".utf8).randomElement(using: &self) ?? 0
        default: break
        }
    }
}

/// A header as its JSON is written, field by field.
private struct Header {
    struct Field {
        var key: String
        var value: String
    }

    var members: [(name: String, fields: [Field])] = []
    var metadata: String?
    var dataCount = 0

    private static let types: [(name: String, size: Int)] = [
        ("BOOL", 1), ("U8", 1), ("I8", 1), ("F8_E5M2", 1), ("F8_E4M3", 1), ("F8_E8M0", 1), ("F8_E4M3FNUZ", 1),
        ("F8_E5M2FNUZ", 1), ("I16", 2), ("U16", 2), ("F16", 2), ("BF16", 2), ("I32", 4), ("U32", 4), ("F32", 4),
        ("C64", 8), ("F64", 8), ("I64", 8), ("U64", 8),
    ]

    /// A valid header.
    init(using generator: inout some RandomNumberGenerator) {
        for index in 0..<Int.random(in: 0...4, using: &generator) {
            let type = Self.types.randomElement(using: &generator) ?? Self.types[0]
            let rank = Int.random(in: 0...3, using: &generator)
            let shape = (0..<rank).map { _ in Int.random(in: 0...4, using: &generator) }
            let end = dataCount + shape.reduce(type.size, *)
            members.append(
                (
                    name: "h.\(index).w",
                    fields: [
                        Field(key: "dtype", value: "\"\(type.name)\""), Field(key: "shape", value: "\(shape)"),
                        Field(key: "data_offsets", value: "[\(dataCount), \(end)]"),
                    ]
                ))
            dataCount = end
        }
        if Bool.random(using: &generator) { metadata = #"{"format":"pt"}"# }
    }

    var text: String {
        let tensors = members.map { member in
            let fields = member.fields.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",")
            return "\"\(member.name)\":{\(fields)}"
        }
        let metadata = metadata.map { ["\"__metadata__\":\($0)"] } ?? []
        return "{" + (metadata + tensors).joined(separator: ",") + "}"
    }

    /// Changes an offset, a shape, a type, a name, the set of fields, the metadata or the amount of data.
    mutating func change(using generator: inout some RandomNumberGenerator) {
        guard let index = members.indices.randomElement(using: &generator) else {
            metadata = Self.oddities.randomElement(using: &generator)
            return
        }
        switch Int.random(in: 0..<11, using: &generator) {
        case 0, 1, 2: members[index].fields[2].value = Self.changed(members[index].fields[2].value, using: &generator)
        case 3, 4: members[index].fields[1].value = Self.changed(members[index].fields[1].value, using: &generator)
        case 5:
            let names = Self.types.map(\.name) + ["F4", "F6_E2M3", "F6_E3M2", "f32", "", "Q4_0"]
            members[index].fields[0].value = "\"\(names.randomElement(using: &generator) ?? "")\""
        case 6:
            let names = [
                "", "h.0.w", "__metadata__", "é", "e\\u0301", "\\ud83d\\ude00", "\\ud83d", "\\u0000", "a/../b",
            ]
            members[index].name = names.randomElement(using: &generator) ?? ""
        case 7:
            let place = Int.random(in: 0..<members[index].fields.count, using: &generator)
            members[index].fields[place].value = Self.oddities.randomElement(using: &generator) ?? ""
        case 8:
            let place = Int.random(in: 0..<members[index].fields.count, using: &generator)
            members[index].fields[place].key =
                ["dtype", "shape", "data_offsets", "x"].randomElement(using: &generator) ?? ""
        case 9:
            metadata = Self.oddities.randomElement(using: &generator)
        default:
            dataCount = max(0, dataCount + Int.random(in: -9...9, using: &generator))
        }
    }

    private static let oddities = [
        "null", "true", "0", "-0", "1.5", "1e2", "\"\"", "\"F32\"", "[]", "[0]", "[0, 0]", "[[0, 4]]", "[null, 1]",
        #"{"a":"b"}"#, #"{"a":1}"#, "{}", "[0, 18446744073709551615]", "[9223372036854775807, 9223372036854775807]",
        "[4611686018427387904, 4]", "[0, 4611686018427387904, 4]", "[4611686018427387904, 4, 0]",
    ]

    /// The list with one of its numbers changed, doubled or taken away.
    private static func changed(_ list: String, using generator: inout some RandomNumberGenerator) -> String {
        var numbers = list.dropFirst().dropLast().split(separator: ",").map { String($0.drop { $0 == " " }) }
        let place = numbers.indices.randomElement(using: &generator) ?? 0
        let old = place < numbers.count ? Int(numbers[place]) ?? 0 : 0
        let values = [
            "\(old &+ 1)", "\(old &- 1)", "\(old &* 2)", "0", "-1", "4294967296", "9223372036854775807",
            "9223372036854775808", "-9223372036854775808", "18446744073709551616", "1.0", "1e300",
        ]
        let value = values.randomElement(using: &generator) ?? "0"
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: numbers.insert(value, at: place)
        case 1 where place < numbers.count: numbers.remove(at: place)
        case 2: numbers.reverse()
        default:
            if place < numbers.count { numbers[place] = value }
        }
        return "[" + numbers.joined(separator: ", ") + "]"
    }
}
