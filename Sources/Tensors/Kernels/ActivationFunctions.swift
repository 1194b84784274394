import CVectors

// 2 √(2/π) and that times 0.044715: the coefficients of 2u.
private let linear: Float = 1.595_769_1
private let cubic: Float = 0.071_354_82

@inline(__always) func approximateGELU(_ x: Lanes) -> Lanes {
    x * sigmoid(x * fma(x * x, Lanes(repeating: cubic), linear))
}

/// σ + x σ (1 − σ) (2u)′ with σ = σ(2u).
@inline(__always) func approximateGELUSlope(_ x: Lanes) -> Lanes {
    // Beyond ±20 the slope is 0 or 1 to the last bit, and x³ stays finite.
    let x = peft_max(Lanes(repeating: -20), peft_min(Lanes(repeating: 20), x))
    let square = x * x
    let s = sigmoid(x * fma(square, Lanes(repeating: cubic), linear))
    return s.addingProduct(x * s * (1 - s), fma(square, Lanes(repeating: 3 * cubic), linear))
}

@inline(__always) func exactGELU(_ x: Lanes) -> Lanes { x * normalDistribution(x).cumulative }

/// Φ(x) + x φ(x).
@inline(__always) func exactGELUSlope(_ x: Lanes) -> Lanes {
    let x = peft_max(Lanes(repeating: -20), peft_min(Lanes(repeating: 20), x))
    let (cumulative, density) = normalDistribution(x)
    return cumulative.addingProduct(x, density)
}

@inline(__always) func rectify(_ x: Lanes) -> Lanes { peft_max(Lanes(repeating: 0), x) }

@inline(__always) func rectifierSlope(_ x: Lanes) -> Lanes {
    peft_where_less(Lanes(repeating: 0), x, Lanes(repeating: 1), Lanes(repeating: 0))
}

@inline(__always) func silu(_ x: Lanes) -> Lanes { x * sigmoid(x) }

/// σ + x σ (1 − σ) with σ = σ(x).
@inline(__always) func siluSlope(_ x: Lanes) -> Lanes {
    let x = peft_max(Lanes(repeating: -100), peft_min(Lanes(repeating: 100), x))
    let s = sigmoid(x)
    return s.addingProduct(x * s, 1 - s)
}

@inline(__always) func clippedGELU(_ x: Lanes) -> Lanes { peft_min(Lanes(repeating: 10), exactGELU(x)) }

@inline(__always) func clippedGELUSlope(_ x: Lanes) -> Lanes {
    // x Φ(x) is x to the last bit there.
    peft_where_less(Lanes(repeating: 10), x, Lanes(repeating: 0), exactGELUSlope(x))
}

private let quickFactor: Float = 1.702

@inline(__always) func quickGELU(_ x: Lanes) -> Lanes { x * sigmoid(x * quickFactor) }

/// σ + a x σ (1 − σ) with σ = σ(a x).
@inline(__always) func quickGELUSlope(_ x: Lanes) -> Lanes {
    let u = peft_max(Lanes(repeating: -100), peft_min(Lanes(repeating: 100), x * quickFactor))
    let s = sigmoid(u)
    return s.addingProduct(u * s, 1 - s)
}

@inline(__always) func rectifyBelowSix(_ x: Lanes) -> Lanes {
    peft_min(Lanes(repeating: 6), peft_max(Lanes(repeating: 0), x))
}

@inline(__always) func rectifierBelowSixSlope(_ x: Lanes) -> Lanes {
    peft_where_less(x, Lanes(repeating: 6), rectifierSlope(x), Lanes(repeating: 0))
}

@inline(__always) func squaredRectifier(_ x: Lanes) -> Lanes { rectify(x) * rectify(x) }

@inline(__always) func squaredRectifierSlope(_ x: Lanes) -> Lanes { 2 * rectify(x) }

private let leak: Float = 0.01

@inline(__always) func leakyRectifier(_ x: Lanes) -> Lanes { x * leakyRectifierSlope(x) }

@inline(__always) func leakyRectifierSlope(_ x: Lanes) -> Lanes {
    peft_where_less(Lanes(repeating: 0), x, Lanes(repeating: 1), Lanes(repeating: leak))
}

@inline(__always) func hardSwish(_ x: Lanes) -> Lanes { x * rectifyBelowSix(x + 3) / 6 }

/// 0 up to −3, x / 3 + 1 / 2 between, 1 from 3 on, as torch has it at the corners.
@inline(__always) func hardSwishSlope(_ x: Lanes) -> Lanes {
    let right = peft_where_less(x, Lanes(repeating: 3), x / 3 + 0.5, Lanes(repeating: 1))
    return peft_where_less(Lanes(repeating: -3), x, right, Lanes(repeating: 0))
}

/// n = eˣ (eˣ + 2), so that tanh(ln(1 + eˣ)) = n / (n + 2).
@inline(__always) private func mishTerm(_ x: Lanes) -> Lanes {
    // The quotient is 1 to the last bit from there on, and n stays finite.
    let e = exponential(peft_min(Lanes(repeating: 20), x))
    return e * (e + 2)
}

@inline(__always) func mish(_ x: Lanes) -> Lanes {
    let n = mishTerm(x)
    return x * (n / (n + 2))
}

/// t + x (1 − t²) σ with t = n / (n + 2), 1 − t² = 4 (n + 1) / (n + 2)², σ = σ(x).
@inline(__always) func mishSlope(_ x: Lanes) -> Lanes {
    let x = peft_max(Lanes(repeating: -100), peft_min(Lanes(repeating: 100), x))
    let n = mishTerm(x)
    let q = 1 / (n + 2)
    return (n * q).addingProduct(x * sigmoid(x), 4 * (n + 1) * q * q)
}

@inline(__always) func hyperbolicTangentSlope(_ x: Lanes) -> Lanes {
    let t = hyperbolicTangent(x)
    return (1 - t) * (1 + t)
}

@inline(__always) func sigmoidSlope(_ x: Lanes) -> Lanes {
    let s = sigmoid(x)
    return s * (1 - s)
}

private let laplaceCenter: Float = 0.707_107
private let laplaceWidth: Float = 0.282_095

@inline(__always) func laplace(_ x: Lanes) -> Lanes {
    normalDistribution((x - laplaceCenter) / laplaceWidth).cumulative
}

@inline(__always) func laplaceSlope(_ x: Lanes) -> Lanes {
    normalDistribution((x - laplaceCenter) / laplaceWidth).density / laplaceWidth
}
