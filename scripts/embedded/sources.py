"""The pretraining text: reads the shared data folder, cleans each source and yields its documents.

A document is a list of paragraphs. Every 33rd document of a source is held out. No E2E text is read here.
"""

import json
import re
from pathlib import Path
from typing import Iterator, NamedTuple

HELD_OUT_EVERY = 33
HELD_OUT_OFFSET = 16
# Continuous texts have no documents of their own: they are cut into stretches of at least this many characters.
STRETCH_CHARACTERS = 4000


class Document(NamedTuple):
    source: str
    paragraphs: list[str]
    held_out: bool


def documents(shared: Path) -> Iterator[Document]:
    data = shared / "datasets"
    readers = {
        "tinyshakespeare": lambda: stretches(shakespeare(data / "tinyshakespeare/input.txt")),
        "botchan": lambda: stretches(botchan(data / "botchan/botchan.txt")),
        "wikitext-2": lambda: wikitext([data / "wikitext-2/valid.txt", data / "wikitext-2/test.txt"]),
        "gsm8k": lambda: gsm8k([data / "gsm8k/train.jsonl", data / "gsm8k/test.jsonl"]),
        "alpaca": lambda: alpaca(data / "instructions/alpaca_en_demo.json"),
        "self-instruct": lambda: self_instruct(data / "instructions/self-instruct-seed-tasks.jsonl"),
        "wiki": lambda: stretches(wiki(data / "instructions/wiki_demo.txt")),
    }
    for source, read in readers.items():
        for index, paragraphs in enumerate(read()):
            yield Document(source, paragraphs, index % HELD_OUT_EVERY == HELD_OUT_OFFSET)


def stretches(paragraphs: list[str]) -> Iterator[list[str]]:
    stretch: list[str] = []
    for paragraph in paragraphs:
        stretch.append(paragraph)
        if sum(map(len, stretch)) >= STRETCH_CHARACTERS:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def shakespeare(path: Path) -> list[str]:
    """Speeches, with speakers as "Queen Margaret:", not in capitals that would claim entries of the vocabulary."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^[A-Z][A-Z' ]+:$", lambda match: speaker(match[0]), text)
    return [speech.strip() for speech in text.split("\n\n") if speech.strip()]


def speaker(name: str) -> str:
    return re.sub(r" [IVX]+:", lambda numeral: numeral[0].upper(), name.title(), flags=re.IGNORECASE)


def botchan(path: Path) -> list[str]:
    """The novel between Project Gutenberg's header and the transcriber's notes, its hard line breaks removed."""
    text = path.read_text(encoding="utf-8-sig")
    text = text[text.index("A NOTE BY THE TRANSLATOR") : text.index("--(THE END)--")]
    text = re.sub(r" ?\[[A-Z]\]", "", text)
    paragraphs: list[str] = []
    current = ""
    for line in text.split("\n"):
        line = line.strip()
        if not line:
            continue
        current = f"{current} {line}" if current else line
        # The copy lost its blank lines: a paragraph ends with a short line that closes a sentence.
        is_heading = line.isupper() and len(line) < 60
        if is_heading or (len(line) < 62 and re.search(r"[.!?:]['\")]*$", line)):
            paragraphs.append(current.replace("--", " - "))
            current = ""
    if current:
        paragraphs.append(current.replace("--", " - "))
    return paragraphs


def wikitext(paths: list[Path]) -> Iterator[list[str]]:
    """Articles, detokenised; sentences with an unknown word are dropped, section headings are plain lines."""
    article: list[str] = []
    heading = ""
    for path in paths:
        for line in path.read_text(encoding="utf-8").split("\n"):
            line = line.strip()
            if match := re.fullmatch(r"((?:= )+)(.+?)((?: =)+)", line):
                title = detokenise_wikitext(match[2])
                if match[1] == "= " and match[3] == " =":
                    if len(article) > 1:
                        yield article
                    article = [] if "<unk>" in title else [title]
                    heading = ""
                else:
                    heading = title
            elif line:
                line = re.sub(r" \( [^()]*<unk>[^()]* \)", "", line)
                sentences = re.split(r"(?<= [.!?]) (?![\"')])", line)
                kept = [sentence for sentence in sentences if "<unk>" not in sentence]
                text = detokenise_wikitext(" ".join(kept))
                # What is left of a paragraph that lost nearly all of its sentences doesn't hang together.
                if len(text) < 80 or sum(map(len, kept)) < 0.25 * len(line):
                    continue
                article.append(f"{heading}\n{text}" if heading and "<unk>" not in heading else text)
                heading = ""
    if len(article) > 1:
        yield article


def detokenise_wikitext(text: str) -> str:
    text = re.sub(r" @([-,.])@ ", r"\1", text)
    text = re.sub(r'" ([^"]*?) "', r'"\1"', text)
    text = re.sub(r"(?<=[\w.,)])' (?=s\b)", "'", text)
    text = re.sub(r" '(s|re|ve|ll|d|m|t)\b", r"'\1", text)
    text = re.sub(r"(?<!\w)' ([^']*?) '(?!\w)", r"'\1'", text)
    text = re.sub(r"(?<=[(\[{$£#]) ", "", text)
    text = re.sub(r" (?=[.,;:!?)\]}%]|°)", "", text)
    text = re.sub(r"(?<=\d) – (?=\d)", "–", text)
    text = re.sub(r"(?<=\d) / (?=\d)", "/", text)
    return re.sub(r"\s+", " ", text).strip()


def gsm8k(paths: list[Path]) -> Iterator[list[str]]:
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            answer = re.sub(r"<<.*?>>", "", record["answer"])
            answer = re.sub(r"\n#### (.*)$", r"\nThe answer is \1.", answer)
            yield [f"{record['question'].strip()}\n{answer.strip()}"]


def alpaca(path: Path) -> Iterator[list[str]]:
    for record in json.loads(path.read_text(encoding="utf-8")):
        yield instruction(record["instruction"], record["input"], record["output"])


def self_instruct(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for instance in record["instances"]:
            yield instruction(record["instruction"], instance["input"], instance["output"])


def instruction(task: str, given: str, answer: str) -> list[str]:
    parts = [part.strip() for part in (task, given, answer) if part.strip()]
    return ["\n".join(re.sub(r"\n\n+", "\n", part) for part in parts)]


def wiki(path: Path) -> list[str]:
    """Articles whose paragraph breaks were lost: "end.Next" is a break, "HeadingText" in front of one a heading."""
    paragraphs: list[str] = []
    ends = (r"[a-z0-9)\"][.!?]", r"[A-Z]{2}[.]", r"[a-z][.]\"")
    break_at = re.compile("|".join(f"(?<={end})(?=[A-Z][a-z]* ?[A-Za-z])" for end in ends))
    for article in path.read_text(encoding="utf-8").split("\n"):
        for paragraph in break_at.split(article):
            paragraph = re.sub(r"\s+", " ", paragraph).strip()
            paragraph = re.sub(r" (?=[.,;:!?])", "", paragraph)
            for _ in range(3):
                paragraph = re.sub(r"(?m)^((?!Mc|Mac)[A-Z][\w ,'–-]{2,58}?[a-z])(?=[A-Z][a-z]* )", r"\1\n", paragraph)
            if len(paragraph) >= 40:
                paragraphs.append(paragraph)
    return paragraphs
