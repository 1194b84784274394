import Diagnostics
public import Tensors

/// A tensor that is to be written to a safetensors file.
public struct OutgoingTensor {
    enum Content {
        case floats(() throws -> Tensor)
        case bytes(() -> [UInt8])
        case stored(RawTensor)
    }

    public let name: String
    public let elementType: ElementType
    public let shape: [Int]
    let content: Content

    /// Floats that are written as F32, F16 or BF16.
    public init(_ name: String, _ tensor: Tensor, as elementType: ElementType) {
        self.init(name, shape: tensor.shape, as: elementType) { tensor }
    }

    /// Floats that are computed when their turn comes, and forgotten then, to be written as F32, F16 or BF16.
    public init(
        _ name: String, shape: [Int], as elementType: ElementType, tensor: @escaping () throws -> Tensor
    ) {
        require(
            [.float32, .float16, .bfloat16].contains(elementType),
            "OutgoingTensor: floats to be written as \(elementType)")
        self.name = name
        self.elementType = elementType
        self.shape = shape
        content = .floats(tensor)
    }

    /// Elements that are encoded when their turn comes, and forgotten then.
    public init(_ name: String, shape: [Int], as elementType: ElementType, bytes: @escaping () -> [UInt8]) {
        self.init(name, elementType, shape, .bytes(bytes))
    }

    /// A tensor of another file, written as it is under `name`.
    public init(_ name: String, _ tensor: RawTensor) {
        self.name = name
        elementType = tensor.elementType
        shape = tensor.shape
        content = .stored(tensor)
    }

    /// Bytes that are written as U8.
    public init(_ name: String, _ bytes: ByteTensor) {
        self.init(
            name,
            RawTensor(
                name: name, elementType: .unsigned8, shape: bytes.shape, count: bytes.count, file: "",
                bytes: bytes.bytes, owner: bytes))
    }

    private init(_ name: String, _ elementType: ElementType, _ shape: [Int], _ content: Content) {
        (self.name, self.elementType, self.shape, self.content) = (name, elementType, shape, content)
    }

    /// The same tensor under another name.
    func renamed(_ name: String) -> OutgoingTensor { OutgoingTensor(name, elementType, shape, content) }

    /// How many bytes the elements take.
    public var byteCount: Int {
        guard let (_, byteCount) = sizes(of: shape, elementType) else {
            defect("OutgoingTensor: \(name) of shape \(shape) is too large")
        }
        return byteCount
    }
}
