"""Writes Sources/Tokenizers/UnicodeRuns.swift: how the Hugging Face tokenizers library classes every code point.

GPT-2's pattern needs letters (L), numbers (N) and white space, added tokens with `single_word` need word characters.
They are read off the library itself, by what it splits, so that the Unicode version is the library's.

    python scripts/unicode_classes.py
"""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

OTHER, LETTER, NUMBER, SPACE, WORD = 0, 1, 2, 3, 4

split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
single_word = Tokenizer(models.BPE(vocab={"x": 0}, merges=[]))
single_word.add_tokens([AddedToken("==", single_word=True, normalized=False)])


def classify(character):
    if len(split("a" + character)) == 1:
        kind = LETTER
    elif len(split("1" + character)) == 1:
        kind = NUMBER
    elif len(split("!" + character)) == 1:
        kind = OTHER
    else:
        kind = SPACE
    is_word = character != "=" and 1 not in single_word.encode(character + "==").ids
    return kind | (WORD if is_word else 0)


runs = []
for code in range(0x110000):
    if 0xD800 <= code < 0xE000:
        continue
    kind = classify(chr(code))
    if not runs or runs[-1][1] != kind:
        runs.append((code, kind))

lines = [
    "// Made by scripts/unicode_classes.py; not for editing.",
    "",
    "extension UnicodeClasses {",
    "    /// The runs of code points of one class, in order: the first code point times 8, plus the class (0 other,",
    "    /// 1 letter, 2 number, 3 white space) and 4 for word characters. Surrogates belong to the run before them.",
    "    static let runs: [UInt32] = [",
]
numbers = [str(code << 3 | kind) for code, kind in runs]
line = ""
for number in numbers:
    if len(line) + len(number) + 2 > 111:
        lines.append("        " + line.rstrip())
        line = ""
    line += number + ", "
lines += ["        " + line.rstrip(), "    ]", "}", ""]
root = Path(__file__).resolve().parent.parent
(root / "Sources/Tokenizers/UnicodeRuns.swift").write_text("\n".join(lines))
print(len(runs), "runs")
