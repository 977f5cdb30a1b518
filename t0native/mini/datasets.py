"""The miniature's training side: eleven datasets in seven groups, and text with holes for the unprompted part.

    group            dataset           a row asks, of a text of one or two people
    questions        values            What does Anna drink?               -> tea
                     persons           Who drinks tea?                     -> Anna
    choices          value_choices     the same with two or three options, some prompts answered by the option's letter
                     person_choices
    yes or no        yes_no            Does Anna drink tea? Is it Anna who drinks tea?
    paraphrase       statements        do two statements say the same
                     questions         do two questions ask the same
    topic            topics            which of six topics a sentence belongs to
    opinion          opinions          whether a sentence praises or blames
    writing          tell              write the sentence about one fact of one person
                     records           write the sentences that a small table tells
    unprompted       denoising         text whose facts are told again in other words, with spans replaced by <extra_id_k>

`Rows(dataset, level)` behaves as a list of a million rows; row i is a pure function of (seed, dataset, level, i).
Level 1 tells one fact, level 2 two or three: the curriculum (curriculum.py) goes from one to the other."""

from random import Random

from t0native.data.numbered import NumberedRows
from t0native.mini.world import (
    AMBIGUOUS,
    NAMES,
    RELATIONS,
    TOPICS,
    Fact,
    Passage,
    falsify,
    other,
    passage,
    people,
    pick,
    retell,
    says,
    single,
    stream,
    topic_sentence,
)

WHAT = {
    "drink": ("What does {n} drink?", "What does {n} order?"),
    "town": ("Where does {n} live?", "Where does {n} have a home?"),
    "pet": ("Which animal does {n} keep?", "Which animal does {n} look after?"),
    "job": ("What does {n} work as?", "As what does {n} earn money?"),
    "music": ("Which instrument does {n} play?", "Which instrument does {n} practise?"),
}
PRAISE = ("good", "lovely", "pleasant", "great", "wonderful", "charming")
BLAME = ("bad", "boring", "poor", "dreadful", "terrible", "dull")
THINGS = ("film", "book", "meal", "hotel", "show", "trip")
OPINIONS = ("{n} found the {thing} {a}.", "The {thing} was {a} and {b}.", "{n} called it a {a} {thing}.", "It was a {a} and {b} {thing}.")
PRONOUN_FACTS = 0.7  # of the texts about a woman and a man: a third fact, told with "He" or "She"
PAIRS_OF_TEXTS = 0.3  # of the paraphrase rows of level 2: two facts against two facts in another order


def draw_passage(rng: Random, level: int) -> Passage:
    """One fact for level 1, two or three for level 2."""
    return single(rng) if level == 1 else passage(rng, third=PRONOUN_FACTS)


def deed(fact: Fact) -> str:
    """What the fact says of its person: "drinks tea"."""
    return fact.relation.says[fact.form].format(fact.value)


def what(fact: Fact) -> str:
    return WHAT[fact.relation.name][fact.form].format(n=fact.person)


def does(fact: Fact, cleft: bool) -> str:
    """The fact as a question: "Does Anna drink tea?" or "Is it Anna who drinks tea?"."""
    if cleft:
        return f"Is it {fact.person} who {deed(fact)}?"
    return f"Does {fact.person} {fact.relation.asks[fact.form].format(fact.value)}?"


def draw_fact(rng: Random, level: int) -> tuple[Passage, Fact]:
    """A passage and one of its facts, half of the time in the relation's other form."""
    text = draw_passage(rng, level)
    return text, retell(rng, pick(rng, text.facts))


def shuffle(rng: Random, items: list) -> list:
    """The items in a random order."""
    return [item for _, item in sorted((rng.random(), item) for item in items)]


# ---- questions and choices -------------------------------------------------------------------------------------------


def values(rng: Random, level: int) -> dict:
    text, fact = draw_fact(rng, level)
    return {"text": text.text, "question": what(fact), "person": fact.person, "kind": fact.relation.kind, "answer": fact.value}


def persons(rng: Random, level: int) -> dict:
    text, fact = draw_fact(rng, level)
    return {"text": text.text, "question": f"Who {deed(fact)}?", "deed": deed(fact), "answer": fact.person}


def with_options(rng: Random, row: dict, rivals: list, rest) -> dict:
    """Adds two or three options: the answer, mostly a rival out of the text, others from `rest`."""
    options = [row["answer"]]
    if rivals and rng.random() < 0.75:
        options.append(pick(rng, rivals))
    while len(options) < (2 if rng.random() < 0.7 else 3):
        options.append(other(rng, rest, *options))
    options = shuffle(rng, options)
    return row | {"options": options, "answer": options.index(row["answer"])}


def value_choices(rng: Random, level: int) -> dict:
    text, fact = draw_fact(rng, level)
    row = {"text": text.text, "question": what(fact), "person": fact.person, "kind": fact.relation.kind, "answer": fact.value}
    rivals = [f.value for f in text.facts if f.relation is fact.relation and f.value != fact.value]
    return with_options(rng, row, rivals, fact.relation.values)


def person_choices(rng: Random, level: int) -> dict:
    text, fact = draw_fact(rng, level)
    row = {"text": text.text, "question": f"Who {deed(fact)}?", "deed": deed(fact), "answer": fact.person}
    return with_options(rng, row, [person for person in people(text) if person != fact.person], NAMES)


def yes_no(rng: Random, level: int) -> dict:
    """`label` 0: yes."""
    text, fact = draw_fact(rng, level)
    label = int(rng.random() * 2)
    if label:
        fact = falsify(rng, text, fact)
    return {"text": text.text, "question": does(fact, rng.random() < 0.3), "label": label}


# ---- paraphrase ------------------------------------------------------------------------------------------------------


def statements(rng: Random, level: int) -> dict:
    """`label` 0: both say the same."""
    label = int(rng.random() * 2)
    if level == 2 and rng.random() < PAIRS_OF_TEXTS:
        first = passage(rng, third=0.0)
        facts = [retell(rng, fact) for fact in first.facts]
        if label:
            which = int(rng.random() * 2)
            facts[which] = falsify(rng, first, facts[which])
        return {"one": first.text, "two": " ".join(says(fact) for fact in shuffle(rng, facts)), "label": label}
    first = single(rng)
    fact = retell(rng, first.facts[0], 0.7)
    if label:
        fact = change_fact(rng, fact)
    return {"one": first.text, "two": says(fact), "label": label}


def change_fact(rng: Random, fact: Fact, person: bool = True, value: bool = True) -> Fact:
    """Another fact: of another person, with another value (where these count), or, now and then, of another relation."""
    draw = rng.random()
    if draw < 0.1:
        relation = other(rng, RELATIONS, fact.relation)
        return fact._replace(relation=relation, value=pick(rng, relation.values))
    if person and (draw < 0.55 or not value):
        return fact._replace(person=other(rng, NAMES, fact.person))
    return fact._replace(value=other(rng, fact.relation.values, fact.value))


def questions(rng: Random, level: int) -> dict:
    """`label` 0: both ask the same."""
    fact = single(rng).facts[0]
    again = retell(rng, fact, 0.7)
    label = int(rng.random() * 2)
    kind = rng.random()
    if label:
        again = change_fact(rng, again, person=not 0.5 <= kind < 0.75, value=kind < 0.75)
    if kind < 0.5:
        one, two = does(fact, rng.random() < 0.3), does(again, rng.random() < 0.3)
    elif kind < 0.75:
        one, two = f"Who {deed(fact)}?", f"Who {deed(again)}?"
    else:
        one, two = what(fact), what(again)
    return {"one": one, "two": two, "label": label}


# ---- topic, opinion, writing -----------------------------------------------------------------------------------------


def topics(rng: Random, level: int) -> dict:
    word = pick(rng, tuple(AMBIGUOUS))
    topic = pick(rng, AMBIGUOUS[word])
    options = shuffle(rng, [topic, other(rng, tuple(TOPICS), topic)])
    return {
        "sentence": topic_sentence(rng, word, topic),
        "topics": list(TOPICS),
        "options": options,
        "topic": topic,
        "label": options.index(topic),
    }


def opinions(rng: Random, level: int) -> dict:
    """`label` 0: praise."""
    label = int(rng.random() * 2)
    words = BLAME if label else PRAISE
    a = pick(rng, words)
    thing = pick(rng, THINGS)
    sentence = pick(rng, OPINIONS).format(n=pick(rng, NAMES), thing=thing, a=a, b=other(rng, words, a))
    return {"sentence": sentence, "thing": thing, "label": label}


def tell(rng: Random, level: int) -> dict:
    """`sentence`: the fact in the passage's own form; `other`: in the other one."""
    text = draw_passage(rng, level)
    fact = pick(rng, text.facts)
    return {
        "text": text.text,
        "person": fact.person,
        "kind": fact.relation.kind,
        "sentence": says(fact),
        "other": says(fact._replace(form=1 - fact.form)),
    }


def records(rng: Random, level: int) -> dict:
    facts = [fact._replace(form=0) for fact in draw_passage(rng, level).facts[:2]]
    return {
        "records": [{"name": fact.person, "kind": fact.relation.kind, "value": fact.value} for fact in facts],
        "text": " ".join(says(fact) for fact in facts),
    }


# ---- unprompted ------------------------------------------------------------------------------------------------------

AGAIN = ("The {k} of {n} is {v}.", "{n} is the one who {d}.", "It is {n} who {d}.", "{v} is the {k} of {n}.")
SENTINELS = 6  # spans at most; the vocabulary holds two sentinels more


def rephrase(rng: Random, fact: Fact) -> str:
    """The fact in other words."""
    if rng.random() < 0.5:
        return says(fact._replace(form=1 - fact.form))
    return pick(rng, AGAIN).format(k=fact.relation.kind, n=fact.person, v=fact.value, d=deed(fact))


def world_text(rng: Random, level: int) -> str:
    """Facts, some of them twice; now and then a sentence with a topic or an opinion."""
    text = draw_passage(rng, level)
    sentences = [text.text] + [rephrase(rng, fact) for fact in shuffle(rng, list(text.facts)) if rng.random() < 0.7]
    if rng.random() < 0.2:
        sentences = [topics(rng, level)["sentence"], opinions(rng, level)["sentence"]]
    return " ".join(sentences)


def denoising(rng: Random, level: int) -> dict:
    """Span corruption as T5's: spans of one to three words, about a quarter of the text."""
    words = world_text(rng, level).split()
    kept: list[str] = []
    target: list[str] = []
    at = holes = 0
    while at < len(words):
        if holes < SENTINELS and rng.random() < 0.14:
            name = f"<extra_id_{holes}>"
            length = 1 + int(rng.random() * 3)
            kept.append(name)
            target += [name, *words[at : at + length]]
            holes += 1
            at += length
            if at < len(words):  # spans never touch
                kept.append(words[at])
                at += 1
        else:
            kept.append(words[at])
            at += 1
    if not holes:
        last = kept.pop()
        kept.append("<extra_id_0>")
        target, holes = ["<extra_id_0>", last], 1
    return {"corrupted": " ".join(kept), "spans": " ".join([*target, f"<extra_id_{holes}>"])}


# ---- rows ------------------------------------------------------------------------------------------------------------

MAKERS = {
    "values": values,
    "persons": persons,
    "value_choices": value_choices,
    "person_choices": person_choices,
    "yes_no": yes_no,
    "statements": statements,
    "questions": questions,
    "topics": topics,
    "opinions": opinions,
    "tell": tell,
    "records": records,
    "denoising": denoising,
}
GROUPS = {
    "questions": ("values", "persons"),
    "choices": ("value_choices", "person_choices"),
    "yes or no": ("yes_no",),
    "paraphrase": ("statements", "questions"),
    "topic": ("topics",),
    "opinion": ("opinions",),
    "writing": ("tell", "records"),
}
UNPROMPTED = "denoising"


class Rows(NumberedRows):
    """Rows of a dataset, made when asked for. split: "train" and "validation" never share a stream."""

    def __init__(self, dataset: str, level: int = 2, seed: int = 0, split: str = "train", count: int = 1_000_000):
        self.dataset, self.level, self.seed, self.count = dataset, level, seed, count
        self._make = MAKERS[dataset]
        self._stream = f"{split}: {dataset} {level}"

    def __len__(self) -> int:
        return self.count

    def _row(self, i: int) -> dict:
        return self._make(stream(self.seed, self._stream, i), self.level)
