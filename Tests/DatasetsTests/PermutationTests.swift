import Datasets
import Testing

@Suite("The order of an epoch") struct PermutationTests {
    @Test("holds every index once, the same for the same seed and epoch", arguments: [0, 1, 2, 17, 1000])
    func isPermutation(count: Int) {
        let order = permutation(of: count, seed: 42, epoch: 3)
        #expect(order.sorted() == Array(0..<Int32(count)))
        #expect(order == permutation(of: count, seed: 42, epoch: 3))
    }

    @Test("is another for another seed or epoch")
    func differs() {
        let order = permutation(of: 100, seed: 42, epoch: 0)
        #expect(order != permutation(of: 100, seed: 43, epoch: 0))
        #expect(order != permutation(of: 100, seed: 42, epoch: 1))
        #expect(order != Array(0..<100))
    }

    @Test("never changes from one version to the next, or a resumed run would go another way")
    func pinned() {
        #expect(permutation(of: 10, seed: 42, epoch: 0) == [1, 7, 2, 5, 6, 4, 0, 9, 8, 3])
        #expect(permutation(of: 10, seed: 42, epoch: 1) == [0, 9, 1, 6, 5, 8, 2, 3, 4, 7])
    }

    @Test("has every element equally often in every place")
    func uniformity() {
        var counts = Array(repeating: Array(repeating: 0, count: 5), count: 5)
        for epoch in 0..<5000 {
            for (place, element) in permutation(of: 5, seed: 7, epoch: epoch).enumerated() {
                counts[place][Int(element)] += 1
            }
        }
        // 1000 expected; five standard deviations of a binomial are 141.
        #expect(counts.joined().allSatisfy { abs($0 - 1000) < 141 })
    }
}
