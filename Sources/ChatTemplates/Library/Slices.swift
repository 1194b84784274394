/// What Python's slices give.
enum Slices {
    static func slice(_ value: Value, _ start: Int?, _ stop: Int?, _ step: Int, _ renderer: Renderer) throws -> Value {
        if step == 0 { throw Failure("the step of a slice can't be 0") }
        try renderer.spend(value.size)
        switch value {
        case .undefined(let undefined): throw Failure(undefined.reason)
        case .string(let text), .markup(let text):
            if step == 1, let part = part(of: text, start, stop) { return .text(part, like: value) }
            let scalars = Array(text.unicodeScalars)
            return .text(String(places(scalars.count, start, stop, step).map { scalars[$0] }), like: value)
        case .list(let list): return try .list(places(list.items.count, start, stop, step).map { list.items[$0] })
        case .tuple(let tuple): return try .tuple(places(tuple.items.count, start, stop, step).map { tuple.items[$0] })
        case .range(let range):
            let (first, end, step) = bounds(range.count, start, stop, step)
            let (product, overflows) = range.step.multipliedReportingOverflow(by: step)
            if overflows { throw Operators.beyondIntegers }
            return .range(RangeValue.slice(from: range[first], to: range[end], step: product))
        default: throw Failure("\(value.kindName) has no slices")
        }
    }

    /// A slice by steps of 1 whose bounds aren't negative.
    private static func part(of text: String, _ start: Int?, _ stop: Int?) -> String? {
        let (start, stop) = (start ?? 0, stop ?? .max)
        if start < 0 || stop < 0 { return nil }
        let rest = text.unicodeScalars.dropFirst(start)
        return String(stop == .max ? rest : rest.prefix(max(0, stop - start)))
    }

    private static func places(_ count: Int, _ start: Int?, _ stop: Int?, _ step: Int) -> [Int] {
        let (first, end, step) = bounds(count, start, stop, step)
        return Array(stride(from: first, to: end, by: step))
    }

    /// The first place, the one that is not reached, and a step that doesn't overflow.
    private static func bounds(_ count: Int, _ start: Int?, _ stop: Int?, _ step: Int) -> (Int, Int, Int) {
        let step = max(-count - 1, min(count + 1, step))
        func clamped(_ bound: Int) -> Int {
            let place = bound < 0 ? bound + count : bound
            return step > 0 ? min(max(place, 0), count) : min(max(place, -1), count - 1)
        }
        let first = start.map(clamped) ?? (step > 0 ? 0 : count - 1)
        let end = stop.map(clamped) ?? (step > 0 ? count : -1)
        return (first, end, step)
    }
}
