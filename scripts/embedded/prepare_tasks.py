"""Writes embedded/tasks: small data sets for the tasks of the field, made of the restaurants in embedded/e2e.

usage: prepare_tasks.py

What is asked is in the attributes (`mr`), and the description (`ref`) must hold it in some word: a food, a rating, an area.
"""

import json
import random
import re
from pathlib import Path

EMBEDDED = Path(__file__).resolve().parents[2] / "embedded"
COUNTS = {"train": 40, "validation": 20}
FOODS = ["Chinese", "English", "Fast food", "French", "Indian", "Italian", "Japanese"]
RATINGS = {"5 out of 5": "positive", "high": "positive", "1 out of 5": "negative", "low": "negative"}
QUESTIONS = {
    "food": "What kind of food is served?", "area": "In which part of the town is it?", "near": "What is it near?",
    "name": "What is the place called?", "priceRange": "What does it cost?",
}


def records(name):
    for line in (EMBEDDED / f"e2e/{name}.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        yield dict(re.findall(r"([\w ]+)\[([^\]]*)\]", record["mr"].replace(", ", ","))), record["ref"]


def choice(attributes, text, generator):
    food = attributes.get("food")
    if food is None or food.lower() not in text.lower():
        return None
    options = generator.sample([other for other in FOODS if other != food], 3) + [food]
    generator.shuffle(options)
    return {"text": text, "question": QUESTIONS["food"], "options": options, "answer": food}


def question(attributes, text, generator):
    keys = [key for key in QUESTIONS if key in attributes and attributes[key].lower() in text.lower()]
    if not keys:
        return None
    key = generator.choice(keys)
    return {"text": text, "question": QUESTIONS[key], "answer": attributes[key]}


def sentiment(attributes, text, generator):
    rating = attributes.get("customer rating")
    if rating not in RATINGS or (rating not in text.lower() and "rat" not in text.lower()):
        return None
    return {"review": text, "sentiment": RATINGS[rating]}


def summary(attributes, text, generator):
    if not all(attributes.get(key, "?").lower() in text.lower() for key in ("name", "food", "eatType", "area")):
        return None
    food = attributes["food"].removesuffix(" food") + " food"
    place = f"{attributes['eatType']}, {food}, {attributes['area']}"
    return {"text": text, "summary": f"{attributes['name']}: {place}."}


def main():
    folder = EMBEDDED / "tasks"
    folder.mkdir(exist_ok=True)
    for make in (choice, question, sentiment, summary):
        generator = random.Random(make.__name__)
        for name, count in COUNTS.items():
            found = [record for record in (make(*entry, generator) for entry in records(name)) if record]
            if make is sentiment:
                # As many of each.
                sides = [[record for record in found if record["sentiment"] == side] for side in ("positive", "negative")]
                chosen = [record for side in sides for record in generator.sample(side, count // 2)]
                generator.shuffle(chosen)
            else:
                chosen = generator.sample(found, min(count, len(found)))
            lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in chosen]
            (folder / f"{make.__name__}-{name}.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")


main()
