import COpenBLAS
import Tensors

/// A matrix product of a step alone, [m, k] by [k, n], in OpenBLAS's own hands.
struct BareProduct {
    var m: Int
    var n: Int
    var k: Int
    var transposesA = false
    var transposesB = false
    let threads: Int

    var flops: Double { 2 * Double(m) * Double(n) * Double(k) }

    /// The fastest way and its best time of three, in seconds; ways that are far behind after the first are tried no more.
    func fastest() -> (way: () -> Void, seconds: Double) {
        let a = Tensor(repeating: 0.5, [m, k])
        let b = Tensor(repeating: 0.25, [k, n])
        let c = Tensor(zeros: [m, n])
        func product(rows: Range<Int>, columns: Range<Int>) {
            cblas_sgemm(
                Int32(PEFTBlasRowMajor), Int32(transposesA ? PEFTBlasTrans : PEFTBlasNoTrans),
                Int32(transposesB ? PEFTBlasTrans : PEFTBlasNoTrans), Int32(rows.count), Int32(columns.count),
                Int32(k), 1, a.data + rows.lowerBound * (transposesA ? 1 : k), Int32(transposesA ? m : k),
                b.data + columns.lowerBound * (transposesB ? k : 1), Int32(transposesB ? k : n), 0,
                c.data + rows.lowerBound * n + columns.lowerBound, Int32(n))
        }
        func split(_ tileRows: Int, _ tileColumns: Int) {
            let across = (n + tileColumns - 1) / tileColumns
            WorkerPool.shared.run((m + tileRows - 1) / tileRows * across) { index in
                let (row, column) = (index / across * tileRows, index % across * tileColumns)
                product(rows: row..<min(m, row + tileRows), columns: column..<min(n, column + tileColumns))
            }
        }
        func share(_ total: Int) -> Int { max(16, ((total + threads - 1) / threads + 15) & ~15) }
        let whole: [() -> Void] =
            [
                {
                    openblas_set_num_threads(Int32(threads))
                    product(rows: 0..<m, columns: 0..<n)
                    openblas_set_num_threads(1)
                }
            ]
            + [(512, 256), (256, 512), (256, 384), (512, 384), (512, 768), (1024, 288)].map { tile in
                { split(tile.0, tile.1) }
            }
        let shared: [() -> Void] = [
            { split(share(m), n) },
            { split(m, share(n)) },
            { split((m + 1) / 2, (n + 1) / 2) },
        ]
        func seconds(_ way: () -> Void) -> Double {
            let start = ContinuousClock.now
            way()
            return start.duration(to: .now) / .seconds(1)
        }
        // On one thread the others are all the first way.
        let ways = threads == 1 ? whole : whole + shared
        let first = ways.map { (way: $0, seconds: seconds($0)) }
        let limit = 1.25 * (first.map(\.seconds).min() ?? .nan)
        let best = first.filter { $0.seconds <= limit }.map { candidate in
            (way: candidate.way, seconds: min(candidate.seconds, seconds(candidate.way), seconds(candidate.way)))
        }.min { $0.seconds < $1.seconds }
        return best ?? (way: {}, seconds: .nan)
    }
}
