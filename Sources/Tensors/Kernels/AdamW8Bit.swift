import CVectors
import Diagnostics

/// A moment of AdamW in 8 bits: for each element the nearest value of a `DynamicMap` to its share of the largest
/// magnitude in its block.
public struct CodedMoment {
    /// Elements of a block.
    public static let blockSize = 256

    /// How many blocks some elements make up, the last of which may be short.
    public static func blockCount(_ elements: Int) -> Int { (elements + blockSize - 1) / blockSize }

    public let codes: ByteTensor
    /// The largest magnitude of each block, [blocks].
    public let scales: Tensor

    public init(codes: ByteTensor, scales: Tensor) {
        require(
            scales.count == Self.blockCount(codes.count), "CodedMoment: \(scales.count) scales for \(codes.count) codes"
        )
        self.codes = codes
        self.scales = scales
    }
}

/// The step of `adamW` with moments in 8 bits, which are exact while it is taken and rounded behind it.
///
/// A second moment that isn't 0 never becomes 0, however small beside the others of its block: the next step would be as
/// large as if there had been no gradient before.
public func adamW8Bit(
    parameter: Tensor, gradient: Tensor, firstMoment: CodedMoment, secondMoment: CodedMoment, _ step: AdamWStep
) {
    let count = parameter.count
    require(
        gradient.count == count && firstMoment.codes.count == count && secondMoment.codes.count == count
            && !parameter.isReadOnly,
        "adamW8Bit: parameter \(parameter.shape), gradient \(gradient.shape), moments of \(firstMoment.codes.count) "
            + "and \(secondMoment.codes.count)")
    let block = CodedBlock(step)
    let (p, g) = (parameter.data, gradient.data)
    let (m, v) = (firstMoment.codes.data, secondMoment.codes.data)
    let size = CodedMoment.blockSize
    WorkerPool.shared.run(over: count, grain: elementGrain) { range in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * size) { buffer in
            guard let scratch = buffer.baseAddress else { return }
            for start in stride(from: range.lowerBound, to: range.upperBound, by: size) {
                block.take(
                    p + start, g + start, m + start, v + start, firstMoment.scales.data + start / size,
                    secondMoment.scales.data + start / size, count: min(size, range.upperBound - start), scratch)
            }
        }
    }
    OpTimer.lap()
}

/// A step of one block after the other.
private struct CodedBlock {
    private let update: AdamWUpdate
    private let signed = DynamicMap.signed
    private let unsigned = DynamicMap.unsigned

    init(_ step: AdamWStep) { update = AdamWUpdate(step) }

    /// - Parameters:
    ///   - scratch: Room for the exact moments of a block.
    @inline(__always) func take(
        _ p: UnsafeMutablePointer<Float>, _ g: UnsafePointer<Float>, _ m: UnsafeMutablePointer<UInt8>,
        _ v: UnsafeMutablePointer<UInt8>, _ firstScale: UnsafeMutablePointer<Float>,
        _ secondScale: UnsafeMutablePointer<Float>, count: Int, _ scratch: UnsafeMutablePointer<Float>
    ) {
        let (exactFirst, exactSecond) = (scratch, scratch + CodedMoment.blockSize)
        let (whole, rest) = (count & ~7, count & 7)
        let (oldFirst, oldSecond) = (firstScale[0], secondScale[0])
        var largest = (first: Lanes(repeating: 0), second: Lanes(repeating: 0))
        @inline(__always) func step(
            _ i: Int, _ p: Lanes, _ g: Lanes, _ m: UnsafePointer<UInt8>, _ v: UnsafePointer<UInt8>
        ) -> Lanes {
            let new = update(p, g, peft_decode(m, signed.table) * oldFirst, peft_decode(v, unsigned.table) * oldSecond)
            exactFirst.setLanes(i, new.first)
            exactSecond.setLanes(i, new.second)
            largest.first = peft_max(new.first.magnitude, largest.first)
            largest.second = peft_max(new.second, largest.second)
            return new.parameter
        }
        for i in stride(from: 0, to: whole, by: 8) { p.setLanes(i, step(i, p.lanes(i), g.lanes(i), m + i, v + i)) }
        if rest > 0 {
            // What isn't there has no gradient and was 0, and so it stays.
            Self.withRest(m + whole, v + whole, rest) { m, v in
                let parameter = step(
                    whole, Lanes(p + whole, count: rest, otherwise: 0), Lanes(g + whole, count: rest, otherwise: 0), m,
                    v)
                parameter.store(p + whole, count: rest)
                for i in whole + rest..<whole + 8 { (exactFirst[i], exactSecond[i]) = (0, 0) }
            }
        }
        let (first, second) = (largest.first.largest, largest.second.largest)
        (firstScale[0], secondScale[0]) = (first, second)
        let inverse = (first: Self.inverse(first), second: Self.inverse(second))
        let smallest = Lanes(repeating: DynamicMap.smallest)
        @inline(__always) func encode(_ i: Int, _ m: UnsafeMutablePointer<UInt8>, _ v: UnsafeMutablePointer<UInt8>) {
            peft_encode_signed(
                m, exactFirst.lanes(i) * inverse.first, smallest, signed.cells, signed.firstCell)
            peft_encode_unsigned(
                v, exactSecond.lanes(i) * inverse.second, smallest, unsigned.cells, unsigned.firstCell)
        }
        for i in stride(from: 0, to: whole, by: 8) { encode(i, m + i, v + i) }
        if rest > 0 { Self.withRest(m + whole, v + whole, rest) { encode(whole, $0, $1) } }
    }

    /// What shares are multiplied by; the least numbers, which have no inverse, are as good as 0 to both moments.
    @inline(__always) private static func inverse(_ largest: Float) -> Float { 1 / max(largest, 0x1p-125) }

    /// Codes that don't fill lanes, in memory that does.
    @inline(__always) private static func withRest(
        _ m: UnsafeMutablePointer<UInt8>, _ v: UnsafeMutablePointer<UInt8>, _ count: Int,
        _ body: (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt8>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { buffer in
            guard let first = buffer.baseAddress else { return }
            let second = first + 8
            for i in 0..<8 { (first[i], second[i]) = i < count ? (m[i], v[i]) : (0, 0) }
            body(first, second)
            for i in 0..<count { (m[i], v[i]) = (first[i], second[i]) }
        }
    }
}
