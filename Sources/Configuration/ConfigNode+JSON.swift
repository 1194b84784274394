public import JSONText

extension ConfigNode {
    /// The same value with its place.
    public init(_ node: JSONNode) {
        let content: Content
        switch node.content {
        case .null: content = .null
        case .boolean(let value): content = .scalar(value ? "true" : "false", isQuoted: false)
        case .integer(let value): content = .scalar(String(value), isQuoted: false)
        case .number(let value): content = .scalar(shortestText(of: value), isQuoted: false)
        case .string(let value): content = .scalar(value, isQuoted: true)
        case .array(let values): content = .list(values.map { ConfigNode($0) })
        case .object(let members):
            content = .mapping(
                members.map {
                    Entry(key: $0.key, keyPlace: .file(node.file, $0.keyPosition), value: ConfigNode($0.value))
                })
        }
        self.init(content, place: .file(node.file, node.position))
    }
}
