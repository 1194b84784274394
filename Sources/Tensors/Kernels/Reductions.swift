import CVectors
import Diagnostics

/// Σ x², in double precision and in an order fixed by the size alone. It is finite exactly where every element is, since
/// no square of a float overflows a double.
public func sumOfSquares(_ x: Tensor) -> Double {
    let parts = (x.count + elementGrain - 1) / elementGrain
    var sums = [Double](repeating: 0, count: parts)
    sums.withUnsafeMutableBufferPointer { sums in
        nonisolated(unsafe) let sums = sums
        WorkerPool.shared.run(over: x.count, grain: elementGrain) { range in
            sums[range.lowerBound / elementGrain] = sumOfSquares(x.data + range.lowerBound, count: range.count)
        }
    }
    OpTimer.lap()
    return sums.reduce(0, +)
}

private func sumOfSquares(_ x: UnsafePointer<Float>, count: Int) -> Double {
    var sums = (SIMD8<Double>(repeating: 0), SIMD8<Double>(repeating: 0))
    var i = 0
    while i + 16 <= count {
        sums.0 = peft_add_square(sums.0, x.lanes(i))
        sums.1 = peft_add_square(sums.1, x.lanes(i + 8))
        i += 16
    }
    var sum = (sums.0 + sums.1).sum()
    while i < count {
        sum += Double(x[i]) * Double(x[i])
        i += 1
    }
    return sum
}

/// x ← factor · x.
public func scaleInPlace(_ x: Tensor, by factor: Float) {
    require(!x.isReadOnly, "scaleInPlace: the memory of a mapped file cannot be changed")
    WorkerPool.shared.run(over: x.count, grain: elementGrain) { range in
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            x.data.setLanes(i, x.data.lanes(i) * factor)
            i += 8
        }
        while i < range.upperBound {
            x.data[i] *= factor
            i += 1
        }
    }
}

/// The place of the first of the largest values, or of the first NaN; 0 where there are none.
package func placeOfLargest(_ values: UnsafeBufferPointer<Float>) -> Int {
    values.baseAddress.map { peft_place_of_largest($0, values.count) } ?? 0
}

/// The same for each row, on all threads.
package func placesOfLargest(_ rows: Tensor) -> [Int] {
    let width = rows.columnCount
    var places = [Int](repeating: 0, count: rows.rowCount)
    places.withUnsafeMutableBufferPointer { places in
        nonisolated(unsafe) let places = places
        WorkerPool.shared.run(rows.rowCount) { row in
            places[row] = placeOfLargest(UnsafeBufferPointer(start: rows.data + row * width, count: width))
        }
    }
    return places
}

/// The places of the `count` largest of each row, in descending order, the first of equals first; all where a row has no
/// more.
package func placesOfLargest(_ rows: Tensor, count: Int) -> [[Int]] {
    require(count > 0, "placesOfLargest: \(count) of \(rows.shape)")
    return parallelMap(rows.rowCount) { row in
        placesOfLargest(rows.data + row * rows.columnCount, rows.columnCount, count)
    }
}

private func placesOfLargest(_ values: UnsafePointer<Float>, _ width: Int, _ count: Int) -> [Int] {
    var places: [Int] = []
    places.reserveCapacity(count + 1)
    func add(_ place: Int) {
        let value = values[place]
        if places.count == count {
            if !(value > values[places[count - 1]]) { return }
            places.removeLast()
        }
        var index = places.count
        while index > 0, value > values[places[index - 1]] { index -= 1 }
        places.insert(place, at: index)
    }
    var place = 0
    while place + 16 <= width {
        let block = peft_max(values.lanes(place), values.lanes(place + 8))
        if places.count < count || block.largest > values[places[count - 1]] {
            for inner in place..<place + 16 { add(inner) }
        }
        place += 16
    }
    while place < width {
        add(place)
        place += 1
    }
    return places
}
