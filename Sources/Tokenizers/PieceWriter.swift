/// What becomes of characters without a piece.
struct UnknownPieces: Sendable {
    var id: Int32
    /// The ids of the 256 bytes, or -1, which stand for such characters; empty where the unknown piece does.
    var bytes: [Int32] = []

    init(id: Int32, bytes: [Int32]) {
        self.id = id
        self.bytes = bytes
    }

    init(_ file: SentencePieceFile) {
        let place = file.pieces.firstIndex { $0.type == .unknown } ?? 0
        id = Int32(truncatingIfNeeded: place)
        guard file.hasByteFallback else { return }
        bytes = [Int32](repeating: 0, count: 256)
        for (id, piece) in file.pieces.enumerated() where piece.type == .byte {
            if let byte = SentencePieceFile.byte(piece.text) { bytes[Int(byte)] = Int32(truncatingIfNeeded: id) }
        }
    }
}

/// Writes the ids of pieces, one for unknown ones side by side.
struct PieceWriter {
    private let output: UnsafeMutablePointer<Int32>
    private(set) var count = 0
    private var isBehindUnknown = false

    init(output: UnsafeMutablePointer<Int32>) { self.output = output }

    @inline(__always)
    mutating func write(_ id: Int32) {
        output[count] = id
        count += 1
        isBehindUnknown = false
    }

    mutating func writeUnknown(_ bytes: UnsafeRawBufferPointer, _ unknown: UnknownPieces) {
        if !unknown.bytes.isEmpty, bytes.allSatisfy({ unknown.bytes[Int($0)] >= 0 }) {
            for byte in bytes { write(unknown.bytes[Int(byte)]) }
        } else if !isBehindUnknown {
            write(unknown.id)
            isBehindUnknown = true
        }
    }
}
