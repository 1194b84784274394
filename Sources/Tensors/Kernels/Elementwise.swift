/// The number of lanes that kernels work on at a time.
package typealias Lanes = SIMD8<Float>

extension UnsafePointer<Float> {
    @inline(__always) package func lanes(_ index: Int) -> Lanes {
        UnsafeRawPointer(self + index).loadUnaligned(as: Lanes.self)
    }
}

extension UnsafeMutablePointer<Float> {
    @inline(__always) package func lanes(_ index: Int) -> Lanes {
        UnsafeRawPointer(self + index).loadUnaligned(as: Lanes.self)
    }

    @inline(__always) package func setLanes(_ index: Int, _ value: Lanes) {
        UnsafeMutableRawPointer(self + index).storeBytes(of: value, as: Lanes.self)
    }
}

/// Elements per part of an elementwise pass: 64 KiB, enough that handing out a part doesn't show.
let elementGrain = 16384

/// y ← y + x, on all threads.
func addInPlace(_ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, count: Int) {
    WorkerPool.shared.run(over: count, grain: elementGrain) { range in
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            y.setLanes(i, y.lanes(i) + x.lanes(i))
            i += 8
        }
        while i < range.upperBound {
            y[i] += x[i]
            i += 1
        }
    }
}
