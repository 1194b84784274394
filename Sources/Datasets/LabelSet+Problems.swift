import Configuration
import Diagnostics

extension LabelSet {
    /// Throws a `Problem` where the label of a record is empty.
    static func check(_ label: String, _ file: RecordFile, _ index: Int) throws {
        if label.allSatisfy(\.isWhitespace) { throw file.problem("the label of this record is empty", at: index) }
    }

    /// The names, not too many, for messages.
    public var list: String {
        let most = 20
        let more = names.count > most ? " and \(names.count - most) more" : ""
        return names.prefix(most).joined(separator: ", ") + more
    }

    /// What there is instead of the label `name`, as the end of a message.
    func alternatives(to name: String) -> String {
        if isUnnamed {
            return "; they have no names but \(list), which are 0 to \(names.count - 1) in the data too, unless "
                + "data.labels names them in their order"
        }
        // Numbers and single letters are near to each other without being slips.
        let isWord = name.utf8.count > 1 && Self.value(name) == nil
        let near =
            (isWord ? suggestion(for: name, among: names) : nil).map { "; did you mean '\($0)'? They" } ?? "; they"
        return "\(near) are \(list)"
    }

    /// Labels that differ in nothing but case, the spaces around them and the form of composed characters, by twos.
    public var lookalikes: [(String, String)] {
        var seen: [String: String] = [:]
        var pairs: [(String, String)] = []
        for name in names {
            let key = name.drop(while: \.isWhitespace).lowercased().trimmedEnd
            if let other = seen[key] { pairs.append((other, name)) } else { seen[key] = name }
        }
        return pairs
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        var text = self[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
