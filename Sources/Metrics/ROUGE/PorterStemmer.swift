/// The stemmer that ROUGE uses: M. F. Porter, "An algorithm for suffix stripping", Program 14.3 (1980), with NLTK's
/// extensions (a table of irregular words; -ies and -ied of four letters; y becomes i after a consonant; -alli applied
/// first and repeated; -bli, -fulli and -logi; a stem of a vowel and a consonant counts as cvc).
///
/// In the comments C and V stand for runs of consonants and vowels; a stem is [C](VC){m}[V] and m its measure.
public enum PorterStemmer {
    /// The stem of a word of lowercase ASCII letters and digits; digits count as consonants.
    ///
    /// A word of one or two letters is its own stem.
    public static func stem(_ word: String) -> String {
        let utf8 = Array(word.utf8)
        if let known = irregular[word] { return known }
        if utf8.count <= 2 { return word }
        var word = Word(letters: utf8)
        word.removePlural()
        word.removePastAndProgressive()
        word.replaceFinalY()
        word.shortenDoubleSuffix()
        word.shortenSuffix()
        word.removeSuffix()
        word.removeFinalE()
        word.removeDoubleL()
        return String(decoding: word.letters, as: UTF8.self)
    }

    static let irregular = [
        "sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news",
        "innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing", "cannings": "canning",
        "canning": "canning", "howe": "howe", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
    ]

    typealias Rule = (suffix: [UInt8], replacement: [UInt8])

    static func rules(_ pairs: KeyValuePairs<String, String>) -> [Rule] {
        pairs.map { (Array($0.key.utf8), Array($0.value.utf8)) }
    }

    /// Step 2, each where m > 0 in front of the suffix; of two that end alike the longer comes first.
    static let doubleSuffixes = rules([
        "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "bli": "ble", "alli": "al",
        "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al",
        "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble",
        "fulli": "ful",
    ])

    /// Step 3, each where m > 0.
    static let suffixes = rules([
        "icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": "",
    ])

    /// Step 4, each where m > 1; -ion only behind s or t.
    static let removedSuffixes = [
        "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate",
        "iti", "ous", "ive", "ize",
    ].map { Array($0.utf8) }
}
