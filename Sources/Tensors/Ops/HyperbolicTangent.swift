import Glibc

/// y = tanh(x), element by element; for the small matrices of encoders.
public func hyperbolicTangent(_ x: Tensor) -> Tensor {
    let y = Tensor(uninitialized: x.shape)
    WorkerPool.shared.run(over: x.count, grain: 512) { range in
        for i in range { y.data[i] = tanh(x.data[i]) }
    }
    let output = y.detached()
    return y.record([
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: dy.shape)
            WorkerPool.shared.run(over: dy.count, grain: elementGrain) { range in
                for i in range {
                    let slope = (1 - output.data[i] * output.data[i]) * dy.data[i]
                    target.data[i] = isFresh ? slope : target.data[i] + slope
                }
            }
        }
    ])
}
