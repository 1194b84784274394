import Tensors
import TestSupport
import Testing

@Suite("AdamW with moments in 8 bits") struct AdamW8BitTests {
    private struct Moments {
        let first: CodedMoment
        let second: CodedMoment

        init(_ count: Int) {
            func moment() -> CodedMoment {
                CodedMoment(
                    codes: ByteTensor(zeros: [count]), scales: Tensor(zeros: [CodedMoment.blockCount(count)]))
            }
            (first, second) = (moment(), moment())
        }
    }

    private func step(_ number: Int, beta1: Double = 0.9, beta2: Double = 0.999) -> AdamWStep {
        AdamWStep(
            learningRate: 0.01, beta1: beta1, beta2: beta2, epsilon: 1e-8, weightDecay: 0.1, number: number,
            gradientScale: 0.5)
    }

    /// The nearest of the values, the one of the smaller magnitude where two are as near.
    private func nearest(_ share: Double, _ map: [Float]) -> Int {
        map.indices.min { a, b in
            let (near, far) = ((Double(map[a]) - share).magnitude, (Double(map[b]) - share).magnitude)
            return near == far ? map[a].magnitude < map[b].magnitude : near < far
        } ?? 0
    }

    /// Shares around everything that decides, and others of all sizes.
    private var shares: [Float] {
        let maps = [DynamicMap.signed.values, DynamicMap.unsigned.values]
        let bounds = maps.flatMap { map in
            zip(map, map.dropFirst()).flatMap { lower, upper -> [Float] in
                let middle = (lower + upper) / 2
                return [middle.nextDown, middle, middle.nextUp, lower, upper]
            }
        }
        let tiny: [Float] = [0, -0.0, .leastNonzeroMagnitude, 1e-30, 0x1p-24, 0x1.8p-23, 1.6e-7, -1e-7, 1, -1]
        let others = (0..<24).flatMap {
            noise(40, seed: UInt64($0 + 1), scale: Float(sign: .plus, exponent: -$0, significand: 1))
        }
        return (bounds + tiny + others).map { max(-1, min(1, $0)) }
    }

    @Test("keeps the first moment as the nearest code of its block, exactly")
    func firstMoments() {
        // With a first element of 1 the shares of a block are its numbers.
        let values = stride(from: 0, to: shares.count, by: 255).flatMap { start in
            [1] + shares[start..<min(start + 255, shares.count)]
        }
        let moments = Moments(values.count)
        var step = step(1, beta1: 0, beta2: 0)
        step.gradientScale = 1
        adamW8Bit(
            parameter: Tensor(zeros: [values.count]), gradient: Tensor(values, shape: [values.count]),
            firstMoment: moments.first, secondMoment: moments.second, step)
        let map = DynamicMap.signed.values
        #expect(moments.first.scales.values.allSatisfy { $0 == 1 })
        for (i, value) in values.enumerated() {
            let code = Int(moments.first.codes.data[i])
            #expect(map[code] == map[nearest(Double(value), map)], "\(value) has \(map[code])")
        }
    }

    @Test("keeps the second moment as the nearest code, but no number above 0 as 0")
    func secondMoments() {
        let gradients =
            [1] + (0..<255).map { Float(sign: .plus, exponent: -$0 / 12, significand: 1 + Float($0 % 12) / 12) }
        let moments = Moments(gradients.count)
        var step = step(1, beta1: 0, beta2: 0)
        step.gradientScale = 1
        adamW8Bit(
            parameter: Tensor(zeros: [gradients.count]), gradient: Tensor(gradients, shape: [gradients.count]),
            firstMoment: moments.first, secondMoment: moments.second, step)
        let map = DynamicMap.unsigned.values
        let largest = gradients.map { $0 * $0 }.max() ?? 0
        #expect(moments.second.scales.values == [largest])
        for (i, gradient) in gradients.enumerated() {
            let code = Int(moments.second.codes.data[i])
            #expect(code == max(1, nearest(Double(gradient * gradient / largest), map)), "\(gradient) has \(map[code])")
        }
    }

    @Test("takes the first step of AdamW in 32 bits to the bit", arguments: [1, 7, 8, 255, 256, 257, 40_003])
    func firstStep(count: Int) {
        let (exact, coded) = (Tensor(noise(count), shape: [count]), Tensor(noise(count), shape: [count]))
        let gradient = Tensor(noise(count, seed: 2), shape: [count])
        adamW(
            parameter: exact, gradient: gradient, firstMoment: Tensor(zeros: [count]),
            secondMoment: Tensor(zeros: [count]), step(1))
        let moments = Moments(count)
        adamW8Bit(
            parameter: coded, gradient: gradient, firstMoment: moments.first, secondMoment: moments.second, step(1))
        #expect(exact.values == coded.values)
    }

    @Test("goes on from what its codes say", arguments: [1, 9, 300, 5000])
    func laterSteps(count: Int) {
        let parameter = Tensor(noise(count), shape: [count])
        let moments = Moments(count)
        for number in 1...3 {
            func decoded(_ moment: CodedMoment, _ map: DynamicMap) -> Tensor {
                let values = (0..<count).map {
                    map.values[Int(moment.codes.data[$0])] * moment.scales.data[$0 / CodedMoment.blockSize]
                }
                return Tensor(values, shape: [count])
            }
            let (p, m, v) = (parameter.copy(), decoded(moments.first, .signed), decoded(moments.second, .unsigned))
            let gradient = Tensor(noise(count, seed: UInt64(number + 5)), shape: [count])
            adamW(parameter: p, gradient: gradient, firstMoment: m, secondMoment: v, step(number))
            adamW8Bit(
                parameter: parameter, gradient: gradient, firstMoment: moments.first, secondMoment: moments.second,
                step(number))
            #expect(parameter.values == p.values)
            // No further from the exact moments than half of the widest gap.
            for (new, old, map) in [(moments.first, m, DynamicMap.signed), (moments.second, v, .unsigned)] {
                let largest = old.values.map(\.magnitude).max() ?? 0
                for (a, b) in zip(decoded(new, map).values, old.values) {
                    #expect((a - b).magnitude <= 0.00711 * largest)
                }
            }
        }
    }

    @Test("leaves a block without gradients at 0")
    func zeros() {
        let parameter = Tensor(noise(512), shape: [512])
        let moments = Moments(512)
        let gradient = Tensor(zeros: [512])
        for i in 256..<512 { gradient.data[i] = 1e-20 }
        for number in 1...2 {
            adamW8Bit(
                parameter: parameter, gradient: gradient, firstMoment: moments.first, secondMoment: moments.second,
                step(number))
        }
        let shrunk = zip(parameter.values, noise(512)).prefix(256).allSatisfy { ($0 - $1 * 0.998001).magnitude < 1e-6 }
        #expect(shrunk && parameter.values.allSatisfy(\.isFinite))
        #expect(moments.first.scales.data[0] == 0 && moments.second.scales.data[0] == 0)
    }
}
