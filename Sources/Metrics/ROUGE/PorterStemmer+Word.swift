extension PorterStemmer {
    /// A word while it is stemmed, with the conditions of Porter's paper on its beginnings.
    struct Word {
        var letters: [UInt8]
    }
}

private let (a, b, d, e, g, i, l, n, o, s, t, u, w, x, y, z) = (
    UInt8(ascii: "a"), UInt8(ascii: "b"), UInt8(ascii: "d"), UInt8(ascii: "e"), UInt8(ascii: "g"), UInt8(ascii: "i"),
    UInt8(ascii: "l"), UInt8(ascii: "n"), UInt8(ascii: "o"), UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "u"),
    UInt8(ascii: "w"), UInt8(ascii: "x"), UInt8(ascii: "y"), UInt8(ascii: "z")
)

/// Conditions.
extension PorterStemmer.Word {
    var count: Int { letters.count }

    func ends(with suffix: [UInt8]) -> Bool {
        letters.count >= suffix.count && letters[(letters.count - suffix.count)...].elementsEqual(suffix)
    }

    /// Whether each of the first `length` letters is a consonant: not a, e, i, o, u, nor a y behind a consonant.
    private func forEachLetter(of length: Int, _ body: (_ index: Int, _ isConsonant: Bool) -> Void) {
        var previousIsConsonant = false
        for index in 0..<length {
            let isConsonant =
                switch letters[index] {
                case a, e, i, o, u: false
                case y: index == 0 || !previousIsConsonant
                default: true
                }
            body(index, isConsonant)
            previousIsConsonant = isConsonant
        }
    }

    /// m of the first `length` letters: how often a vowel is followed by a consonant.
    func measure(_ length: Int) -> Int {
        var measure = 0
        var previousIsVowel = false
        forEachLetter(of: length) { _, isConsonant in
            if isConsonant && previousIsVowel { measure += 1 }
            previousIsVowel = !isConsonant
        }
        return measure
    }

    func containsVowel(_ length: Int) -> Bool {
        var found = false
        forEachLetter(of: length) { _, isConsonant in found = found || !isConsonant }
        return found
    }

    func isConsonant(at position: Int) -> Bool {
        var last = false
        forEachLetter(of: position + 1) { _, isConsonant in last = isConsonant }
        return last
    }

    /// *d: the word ends with a double consonant.
    var endsWithDoubleConsonant: Bool {
        count >= 2 && letters[count - 1] == letters[count - 2] && isConsonant(at: count - 1)
    }

    /// *o: the first `length` letters end cvc, the last not w, x or y; or they are one vowel and one consonant.
    func endsWithShortSyllable(_ length: Int) -> Bool {
        if length == 2 { return !isConsonant(at: 0) && isConsonant(at: 1) }
        guard length >= 3 else { return false }
        let last = letters[length - 1]
        return isConsonant(at: length - 3) && !isConsonant(at: length - 2) && isConsonant(at: length - 1)
            && last != w && last != x && last != y
    }
}

/// The steps, in the paper's order.
extension PorterStemmer.Word {
    /// Step 1a: -sses to -ss, -ies to -i (to -ie in a word of four letters), -ss stays, -s goes.
    mutating func removePlural() {
        guard letters.last == s else { return }
        if ends(with: [i, e, s]) {
            letters.removeLast(count == 4 ? 1 : 2)
        } else if ends(with: [s, s, e, s]) {
            letters.removeLast(2)
        } else if !ends(with: [s, s]) {
            letters.removeLast()
        }
    }

    /// Step 1b: -eed to -ee where m > 0, -ied to -i (to -ie in a word of four letters), -ed and -ing behind a vowel go
    /// and what is left is tidied.
    mutating func removePastAndProgressive() {
        if ends(with: [i, e, d]) {
            letters.removeLast(count == 4 ? 1 : 2)
            return
        }
        if ends(with: [e, e, d]) {
            if measure(count - 3) > 0 { letters.removeLast() }
            return
        }
        if ends(with: [e, d]) && containsVowel(count - 2) {
            letters.removeLast(2)
        } else if ends(with: [i, n, g]) && containsVowel(count - 3) {
            letters.removeLast(3)
        } else {
            return
        }
        if ends(with: [a, t]) || ends(with: [b, l]) || ends(with: [i, z]) {
            letters.append(e)
        } else if endsWithDoubleConsonant {
            let last = letters[count - 1]
            if last != l && last != s && last != z { letters.removeLast() }
        } else if measure(count) == 1 && endsWithShortSyllable(count) {
            letters.append(e)
        }
    }

    /// Step 1c: y becomes i behind a consonant that isn't the whole stem.
    mutating func replaceFinalY() {
        if letters.last == y && count > 2 && isConsonant(at: count - 2) { letters[count - 1] = i }
    }

    /// Replaces the suffix of the first rule that the word ends with, where its stem has a positive measure.
    private mutating func apply(_ rules: [PorterStemmer.Rule]) {
        guard let rule = rules.first(where: { ends(with: $0.suffix) }) else { return }
        if measure(count - rule.suffix.count) > 0 {
            letters.removeLast(rule.suffix.count)
            letters += rule.replacement
        }
    }

    /// Step 2. The l of -logi counts as part of the stem, so that geo and theo fare like archaeo.
    mutating func shortenDoubleSuffix() {
        while ends(with: [a, l, l, i]) && measure(count - 4) > 0 { letters.removeLast(2) }
        if ends(with: [l, o, g, i]) {
            if measure(count - 3) > 0 { letters.removeLast() }
        } else {
            apply(PorterStemmer.doubleSuffixes)
        }
    }

    /// Step 3.
    mutating func shortenSuffix() { apply(PorterStemmer.suffixes) }

    /// Step 4.
    mutating func removeSuffix() {
        guard let suffix = PorterStemmer.removedSuffixes.first(where: { ends(with: $0) }) else { return }
        let length = count - suffix.count
        guard measure(length) > 1 else { return }
        if suffix == [i, o, n] && letters[length - 1] != s && letters[length - 1] != t { return }
        letters.removeLast(suffix.count)
    }

    /// Step 5a: -e goes where m > 1, or m = 1 and the stem doesn't end in a short syllable.
    mutating func removeFinalE() {
        guard letters.last == e else { return }
        let measure = measure(count - 1)
        if measure > 1 || (measure == 1 && !endsWithShortSyllable(count - 1)) { letters.removeLast() }
    }

    /// Step 5b: -ll to -l where m > 1.
    mutating func removeDoubleL() {
        if ends(with: [l, l]) && measure(count - 1) > 1 { letters.removeLast() }
    }
}
