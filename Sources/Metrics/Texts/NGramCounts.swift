/// The n-grams of a sequence, of orders 1 to some order, each with a number; as a tree, in which each is a step behind the
/// one that lacks its last element.
struct NGramCounts {
    /// The n-gram behind another one by its next element: the other's number, 0 for none, above the element.
    private var numbers: [UInt64: UInt32] = [:]
    /// The order of each n-gram; none has the number 0.
    private(set) var orders: [Int] = [0]
    /// How often each occurs.
    private(set) var counts: [Int] = [0]
    private let order: Int

    init(_ elements: [UInt32], order: Int) {
        self.order = order
        numbers.reserveCapacity(elements.count * order)
        for start in elements.indices {
            var number: UInt32 = 0
            for (index, element) in elements[start..<min(start + order, elements.count)].enumerated() {
                let key = UInt64(number) << 32 | UInt64(element)
                if let known = numbers[key] {
                    number = known
                } else {
                    number = UInt32(counts.count)
                    numbers[key] = number
                    counts.append(0)
                    orders.append(index + 1)
                }
                counts[Int(number)] += 1
            }
        }
    }

    /// How often each of these n-grams occurs in another sequence.
    func counts(in elements: [UInt32]) -> [Int] {
        var found = [Int](repeating: 0, count: counts.count)
        for start in elements.indices {
            var number: UInt32 = 0
            for element in elements[start..<min(start + order, elements.count)] {
                guard let next = numbers[UInt64(number) << 32 | UInt64(element)] else { break }
                number = next
                found[Int(number)] += 1
            }
        }
        return found
    }

    /// The n-grams of each order that another sequence has too, each as often as both hold it.
    func common(with others: [Int]) -> [Int] {
        var common = [Int](repeating: 0, count: order)
        for number in counts.indices.dropFirst() {
            common[orders[number] - 1] += min(counts[number], others[number])
        }
        return common
    }

    /// How many n-grams of an order a sequence of `count` elements has.
    static func total(_ order: Int, in count: Int) -> Int { max(0, count - order + 1) }
}
