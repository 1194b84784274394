import Layers
import Methods
import Models
import Tensors
import Testing
import TestSupport

/// What holds for every method of the registry: a new one is tested by being listed there.
@Suite("A method") struct MethodContractTests {
    @Test("of the registry is the only one of its name")
    func registry() { #expect(Set(methods.map { $0.name }).count == methods.count) }

    @Test("is tested on every family, or says why it has nothing to do there")
    func families() throws {
        #expect(
            SmallFamily.all.map { ObjectIdentifier($0.architecture) } == architectures.map { ObjectIdentifier($0) })
        for family in SmallFamily.all {
            let tested = Set(
                MethodCase.all.filter { $0.family.architecture == family.architecture }.map { $0.method.name })
            for method in methods where !tested.contains(method.name) {
                let reason = try #require(family.refusals["\(method.name) {}"], "\(method.name) on \(family)")
                let small = try SmallModel(family)
                let text = complaint { _ = try small.install(method, "{}").remove() }
                #expect(text.contains(reason), "\(text)")
            }
        }
    }

    @Test("changes no output when it is installed, unless it says so", arguments: MethodCase.all)
    func identity(_ method: MethodCase) throws {
        let small = try SmallModel(method)
        let before = small.logits
        for isTraining in [true, false] {
            let installation = try small.install(method.method, method.settings, isTraining: isTraining)
            let difference = relativeDifference(small.logits, before)
            #expect((difference <= 1e-6) == !method.changesOutput, "\(difference)")
            installation.remove()
        }
    }

    @Test("gives all of its parameters gradients, and none to any other tensor", arguments: MethodCase.all)
    func gradients(_ method: MethodCase) throws {
        let small = try SmallModel(method)
        let untouched = small.model.parameters.map(\.tensor)
        let installation = try small.install(method.method, method.settings)
        randomise(installation)
        let trainable = installation.trainable
        #expect(!trainable.isEmpty)
        #expect(Set(trainable.map(\.name)).count == trainable.count)
        #expect(Set(trainable.map { ObjectIdentifier($0.tensor) }).count == trainable.count)
        small.lossWithGradients(trainable)
        for parameter in trainable {
            let gradient = try #require(parameter.tensor.gradient, "\(parameter.name)")
            #expect(gradient.values.contains { $0 != 0 }, "\(parameter.name)")
        }
        let own = Set(trainable.map { ObjectIdentifier($0.tensor) })
        for parameter in small.model.parameters where !own.contains(ObjectIdentifier(parameter.tensor)) {
            #expect(!parameter.tensor.needsGradient, "\(parameter.name) isn't frozen")
        }
        for tensor in untouched { #expect(tensor.gradient == nil) }
    }

    @Test("that is only used asks for no gradient", arguments: MethodCase.all)
    func inference(_ method: MethodCase) throws {
        let small = try SmallModel(method)
        let installation = try small.install(method.method, method.settings, isTraining: false)
        #expect(!small.model.loss(small.batch, scale: 1, .inference()).tensor.needsGradient)
        #expect(installation.trainable.allSatisfy { !$0.tensor.needsGradient })
    }

    /// Without DoRA, whose gradient takes a norm for a constant, and prompts, whose encoders have kinks as some families do.
    @Test(
        "changes its loss along each gradient as fast as the gradient says",
        arguments: MethodCase.all.filter { $0.formula == nil && $0.prompt == nil && !$0.family.hasKinks })
    func slopes(_ method: MethodCase) throws {
        let small = try SmallModel(method)
        let installation = try small.install(method.method, method.settings)
        randomise(installation)
        let trainable = installation.trainable
        small.lossWithGradients(trainable)
        for parameter in trainable {
            let gradient = try #require(parameter.gradient)
            let start = parameter.value.values
            let slope = gradient.values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            func loss(_ step: Double) -> Double {
                for i in start.indices {
                    parameter.value.data[i] = Float(Double(start[i]) + step * Double(gradient.data[i]) / slope)
                }
                return small.model.loss(small.batch, scale: 1, .inference()).sum
            }
            func difference(_ step: Double) -> Double { (loss(step) - loss(-step)) / (2 * step) }
            // A kink may lie within the larger steps, and rounding hides the change of the smaller ones.
            let found = [0.02, 0.005, 0.001].map { (4 * difference($0 / 2) - difference($0)) / 3 }
            #expect(
                found.contains { abs($0 - slope) <= 5e-3 * slope + 2e-4 }, "\(parameter.name): \(found) \(slope)")
            for i in start.indices { parameter.value.data[i] = start[i] }
        }
    }

    @Test(
        "has the loss and the gradients of the formula in double precision",
        arguments: MethodCase.all.filter(\.hasFormula))
    func finiteDifferences(_ method: MethodCase) throws {
        let small = try SmallModel(method)
        let installation = try small.install(method.method, method.settings)
        randomise(installation)
        try expectGradients(of: small, installation, scales: method.scales, formula: method.formula)
    }

    @Test("computes the same once it is merged, and half of it with half the weight", arguments: MethodCase.all)
    func merging(_ method: MethodCase) throws {
        if let obstacle = try SmallModel(method).install(method.method, method.settings).mergeObstacle {
            #expect(!obstacle.isEmpty)
            return
        }
        func merged(_ weight: Float) throws -> (before: [Float], after: [Float], values: [String: [Float]]) {
            let small = try SmallModel(method)
            let installation = try small.install(method.method, method.settings)
            randomise(installation)
            let before = small.logits
            installation.merge(weight: weight)
            #expect(small.model.parameters.allSatisfy { !$0.tensor.needsGradient })
            return (before, small.logits, small.values)
        }
        let original = try SmallModel(method)
        let (base, table) = (original.values, original.oracle.tokenTable + ".weight")
        let whole = try merged(1)
        #expect(relativeDifference(whole.after, whole.before) <= 1e-5)
        let half = try merged(0.5)
        #expect(half.values.keys == whole.values.keys)
        var changed = 0
        for (name, values) in whole.values {
            let original = try #require(base[name] ?? base[table])
            let found = try #require(half.values[name])
            #expect(relativeDifference(found, zip(original, values).map { ($0 + $1) / 2 }) <= 1e-6, "\(name)")
            if original != values { changed += 1 }
        }
        #expect(changed > 0)
    }

    @Test("leaves the model to the bit as it was when it is removed", arguments: MethodCase.all)
    func removal(_ method: MethodCase) throws {
        let small = try SmallModel(method)
        let (logits, values, tensors) = (small.logits, small.values, small.model.parameters.map(\.tensor))
        let installation = try small.install(method.method, method.settings)
        randomise(installation)
        let trainable = installation.trainable
        small.lossWithGradients(trainable)
        #expect(relativeDifference(small.logits, logits) > 1e-3)
        installation.remove()
        #expect(small.logits == logits)
        #expect(small.values == values)
        #expect(small.model.isHeadTied == method.tied)
        #expect(areIdentical(small.model.parameters.map(\.tensor), tensors))
        #expect(tensors.allSatisfy { $0.needsGradient })
        for module in small.model.modules {
            switch module.kind {
            case .linear(let linear): #expect(linear.adapter == nil)
            case .embedding(let embedding): #expect(embedding.adapter == nil)
            case .norm, .container: continue
            }
        }
        for join in small.model.joins { #expect(join.adapter == nil) }
    }

    @Test("learns: the loss falls in a few steps", arguments: MethodCase.all)
    func learning(_ method: MethodCase) throws {
        // What a good rate is for a method without cases of its own, or in a family of others, is not known.
        let rates =
            method.hasFormula && method.family.names.isEmpty
            ? [method.prompt?.learningRate ?? 0.01] : [0.01, 0.1, 1, 10]
        let losses = try rates.map { rate in
            let small = try SmallModel(method)
            let trainable = try small.install(method.method, method.settings).trainable
            let before = small.lossWithGradients(trainable)
            for _ in 0..<10 {
                for parameter in trainable {
                    let gradient = try #require(parameter.tensor.gradient)
                    for i in 0..<gradient.count { parameter.tensor.data[i] -= rate * gradient.data[i] }
                }
                small.lossWithGradients(trainable)
            }
            return small.lossWithGradients(trainable) / before
        }
        #expect(losses.contains { $0 < 0.99 })
    }

    @Test("begins with the same bits from the same seed, whatever else was drawn", arguments: MethodCase.all)
    func seeds(_ method: MethodCase) throws {
        func values(seed: UInt64) throws -> [[Float]] {
            let small = try SmallModel(method)
            return try small.install(method.method, method.settings, seed: seed).trainable.map(\.tensor.values)
        }
        #expect(try values(seed: 3) == values(seed: 3))
        if let isRandom = method.isRandom { #expect(try (values(seed: 3) != values(seed: 4)) == isRandom) }
    }
}

/// Compares the loss with the oracle's (by `formula`, or by the weights that the parameters' names make up) within 1e-5, and every element of every gradient with its central differences
/// within 1e-4 of the tensor's largest.
func expectGradients(
    of small: SmallModel, _ installation: any Installation, scales: [String?: Double], formula: MethodFormula? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    var oracle = small.oracle
    for parameter in small.model.parameters { oracle.values[parameter.name] = parameter.tensor.values.map(Double.init) }
    let trainable = installation.trainable
    let start = Dictionary(uniqueKeysWithValues: trainable.map { ($0.name, $0.tensor.values.map(Double.init)) })
    let added = trainable.filter { oracle.values[$0.name] == nil && !$0.name.contains("_layer") }
    if case .adapter(let configuration, _) = installation.deliver() {
        oracle.join = try BottleneckFormula(configuration)?.join
    }
    for parameter in trainable where parameter.name.contains(".lora_") {
        let path = parameter.name.replacing(".lora_A.weight", with: "").replacing(".lora_B.weight", with: "")
        oracle.lowRankScales[path] = scales[path] ?? scales[nil]
    }
    let weights = EffectiveWeights(
        model: oracle,
        shapes: Dictionary(uniqueKeysWithValues: added.map { ($0.name, $0.tensor.shape) }),
        scale: { scales[$0] ?? scales[nil] ?? 1 })
    func loss(_ now: [String: [Double]]) -> Double {
        var model = oracle
        for (name, values) in now {
            let name = name.replacing(".base_layer", with: "").replacing(".ln_tuning_layers", with: "")
            if formula == nil || model.values[name] != nil { model.values[name] = values }
        }
        if let formula { formula(&model, now, start) } else { model.values = weights(model.values) }
        return model.loss(SmallModel.sequences)
    }
    let found = small.lossWithGradients(trainable)
    let expected = loss(start)
    #expect(abs(found - expected) <= 1e-5 * abs(expected), sourceLocation: sourceLocation)
    for parameter in trainable {
        let name = parameter.name
        let gradient = try #require(parameter.tensor.gradient).values.map(Double.init)
        let differences = gradient.indices.map { index in
            func moved(_ step: Double) -> Double {
                var now = start
                now[name]?[index] += step
                return loss(now)
            }
            return (moved(1e-5) - moved(-1e-5)) / 2e-5
        }
        let largest = differences.reduce(0) { max($0, $1.magnitude) }
        let difference = zip(gradient, differences).reduce(0) { max($0, ($1.0 - $1.1).magnitude) }
        #expect(difference <= 1e-4 * largest, "\(name): \(difference / largest)", sourceLocation: sourceLocation)
    }
}
