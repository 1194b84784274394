import Diagnostics
import Foundation
import Methods
import TestSupport
import Testing

/// The pages that people read, from the repository's root.
private let pages: [String] = {
    let docs = (try? FileManager.default.contentsOfDirectory(atPath: file("docs").path(percentEncoded: false))) ?? []
    return ["README.md", "CONTRIBUTING.md", "configs/README.md", "scripts/fixtures/README.md"]
        + docs.filter { $0.hasSuffix(".md") }.sorted().map { "docs/\($0)" }
}()

private func file(_ path: String) -> URL { repositoryRoot.appending(path: path) }

private func text(_ page: String) throws -> String { try String(contentsOf: file(page), encoding: .utf8) }

/// The first cells of a page's tables, without the marks of code.
private func firstCells(_ page: String) throws -> Set<String> {
    let lines = try text(page).split(separator: "\n").filter { $0.hasPrefix("| ") }
    let cells = lines.compactMap { $0.split(separator: "|").first?.trimmingCharacters(in: .whitespaces) }
    return Set(cells.map { $0.trimmingCharacters(in: ["`"]) })
}

@Suite("The pages")
struct DocumentationTests {
    @Test("link to files and headings that are there", arguments: pages)
    func links(page: String) throws {
        let folder = file(page).deletingLastPathComponent()
        for link in try text(page).matches(of: /\]\(([^)\s]+)\)/).map({ String($0.1) }) {
            guard !link.hasPrefix("https://") else { continue }
            let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let target = parts[0].isEmpty ? file(page) : folder.appending(path: parts[0])
            #expect(FileManager.default.fileExists(atPath: target.path(percentEncoded: false)), "\(page): \(link)")
            if parts.count == 2 {
                let headings = try String(contentsOf: target, encoding: .utf8).split(separator: "\n")
                    .filter { $0.hasPrefix("#") }
                    .map { $0.drop { $0 == "#" || $0 == " " }.lowercased().replacing(" ", with: "-") }
                #expect(headings.contains(parts[1]), "\(page): \(link)")
            }
        }
    }

    @Test("README is short enough to be read")
    func short() throws { #expect(try Data(contentsOf: file("README.md")).count < 14_000) }

    @Test("README's table has every method")
    func everyMethod() throws {
        #expect(Set(methods.map { $0.name }).subtracting(try firstCells("README.md")).sorted() == [])
    }

    @Test("docs/comparison.md has a row for every method that is compared")
    func everyComparedMethod() throws {
        let variants = try text("configs/compare/methods.yaml").split(separator: "\n")
            .filter { $0.first?.isLetter == true && $0.hasSuffix(":") }.map { String($0.dropLast()) }
        #expect(variants.count > 20)
        #expect(Set(variants).subtracting(try firstCells("docs/comparison.md")).sorted() == [])
    }

    @Test("docs/files.md names every exit code")
    func exitCodes() throws {
        let cells = try firstCells("docs/files.md")
        let documented = cells.compactMap { Int32($0) }.sorted()
        #expect(documented == ExitStatus.allCases.map(\.rawValue).sorted())
    }

    @Test("configs/README.md lists every example")
    func everyExample() throws {
        let page = try text("configs/README.md")
        let names = try FileManager.default.contentsOfDirectory(atPath: file("configs").path(percentEncoded: false))
        for name in names where name.hasSuffix(".yaml") { #expect(page.contains("(\(name))"), "\(name)") }
    }

    @Test(
        "README's lines for one's own data are a whole configuration",
        .enabled(if: FileManager.default.fileExists(atPath: file("embedded/base/model.safetensors").path())))
    func ownData() throws {
        let parts = try text("README.md").components(separatedBy: "```yaml\n")
        try #require(parts.count == 2)
        let yaml = try #require(parts[1].components(separatedBy: "```").first)
        let folder = try TemporaryFolder()
        try folder.write(#"{"question": "Where is the boat?", "answer": "In the harbour."}"# + "\n", to: "own.jsonl")
        try folder.write(
            yaml.replacing("own.jsonl", with: folder.path + "/own.jsonl").replacing("runs/", with: folder.path + "/"),
            to: "own.yaml")
        let outcome = try peft(
            "train", "--config", folder.path + "/own.yaml", "--set", "model.path=embedded/base", "--dry-run")
        #expect(outcome.status == 0, "\(outcome.errors)")
    }
}
