public import Diagnostics
public import Tensors

/// A tensor as it is stored in a file.
public struct RawTensor: @unchecked Sendable {
    public let name: String
    public let elementType: ElementType
    public let shape: [Int]
    /// The product of the shape.
    public let count: Int
    /// The path of the file that it came from.
    public let file: String
    /// The elements, little-endian in row-major order; valid while `owner` lives, at any address.
    public let bytes: UnsafeRawBufferPointer
    public let owner: AnyObject

    /// The elements as 32-bit floats: the memory of the file itself for F32 at an address that allows it, otherwise
    /// converted, rounding F64 to nearest. Throws a `Problem` for types that aren't floating-point numbers of 8 bits
    /// and more.
    public func tensor() throws -> Tensor {
        if elementType == .float32, let base = bytes.baseAddress, Int(bitPattern: base) % 4 == 0 {
            return Tensor(readOnly: base.assumingMemoryBound(to: Float.self), shape: shape, owner: owner)
        }
        guard elementType.isFloatingPoint, elementType.bitCount >= 8 else {
            throw unreadable("floating-point weights")
        }
        let tensor = Tensor(uninitialized: shape)
        withExtendedLifetime(owner) { convertToFloat(bytes, elementType, to: tensor.data, count: count) }
        return tensor
    }

    /// The elements as a model's parameter: a matrix of 16-bit numbers as it lies in the file, the rest as floats. Throws
    /// as `tensor` does.
    public func stored() throws -> any StoredTensor {
        let format: HalfFormat? =
            switch elementType {
            case .bfloat16: .bfloat16
            case .float16: .float16
            default: nil
            }
        guard let format, shape.count == 2, let base = bytes.baseAddress, Int(bitPattern: base) % 2 == 0 else {
            return try tensor()
        }
        return HalfTensor(base.assumingMemoryBound(to: UInt16.self), format, shape: shape, owner: owner)
    }

    /// The first element that is NaN or infinite as a float; nil for types that have no such numbers.
    public var nonFiniteElement: NonFiniteElement? {
        get throws {
            guard elementType.isFloatingPoint, elementType.bitCount >= 8 else { return nil }
            return try withExtendedLifetime(owner) { try stored().firstNonFinite }
        }
    }

    /// Throws a `Problem` that names the first element that is NaN or infinite, where there is one.
    public func requireFinite() throws {
        if let element = try nonFiniteElement { throw nonFiniteProblem(element, in: name, file: file) }
    }

    /// The elements as doubles, exact for all types but integers beyond 2^53. Throws a `Problem` for complex and packed
    /// types.
    public func doubles() throws -> [Double] {
        try withExtendedLifetime(owner) {
            switch elementType {
            case .float64: load(Double.self) { $0 }
            case .float32, .float16, .bfloat16, .float8E5M2, .float8E4M3, .float8E8M0, .float8E4M3FNUZ,
                .float8E5M2FNUZ:
                try tensor().values.map(Double.init)
            case .unsigned64: load(UInt64.self) { Double($0) }
            case .complex64, .float4, .float6E2M3, .float6E3M2: throw unreadable("numbers")
            default: try integers().map { Double($0) }
            }
        }
    }

    /// The elements as integers, truth as 1 and 0. Throws a `Problem` for other types, and for a U64 beyond `Int.max`.
    public func integers() throws -> [Int] {
        try withExtendedLifetime(owner) {
            switch elementType {
            case .boolean: load(UInt8.self) { $0 == 0 ? 0 : 1 }
            case .unsigned8: load(UInt8.self) { Int($0) }
            case .signed8: load(Int8.self) { Int($0) }
            case .unsigned16: load(UInt16.self) { Int($0) }
            case .signed16: load(Int16.self) { Int($0) }
            case .unsigned32: load(UInt32.self) { Int($0) }
            case .signed32: load(Int32.self) { Int($0) }
            case .signed64: load(Int64.self) { Int($0) }
            case .unsigned64:
                try load(UInt64.self) { value in
                    guard let integer = Int(exactly: value) else {
                        throw Problem("the element \(value) is too large", file: file, key: name)
                    }
                    return integer
                }
            default:
                throw unreadable("integers")
            }
        }
    }

    private func unreadable(_ what: String) -> Problem {
        Problem("the stored type is \(elementType), from which \(what) can't be read", file: file, key: name)
    }

    private func load<Stored: BitwiseCopyable, Element>(
        _: Stored.Type, _ transform: (Stored) throws -> Element
    ) rethrows -> [Element] {
        try (0..<count).map {
            try transform(bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Stored>.stride, as: Stored.self))
        }
    }
}

/// What to say of a tensor that holds an element which is no finite number.
public func nonFiniteProblem(_ element: NonFiniteElement, in tensor: String, file: String?) -> Problem {
    Problem(
        "holds \(element), with which nothing can be computed: the training that made it diverged, or the file is damaged",
        file: file, key: tensor)
}
