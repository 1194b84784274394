import Diagnostics

extension JSONNode {
    /// An object with these members at the place of this one.
    public func with(members: [JSONMember]) -> JSONNode { JSONNode(.object(members), position, context) }

    /// A member that stands where this node does, for what the file says in other words.
    public func member(_ key: String, string: String) -> JSONMember {
        JSONMember(key: key, keyPosition: position, value: JSONNode(.string(string), position, context))
    }
}
