"""The miniature's world: sixteen people, five relations, twelve ambiguous words, and the passages told about them.

    Fact     = (person, relation, value, form)        form 0 or 1: the two ways in which a relation is told
    Passage  = two facts of two people, mostly of one relation with different values; where the people differ in
               gender, in 40 % of the cases a third fact of another relation, told with "He" or "She"

Every generator takes a `random.Random`; `stream(seed, dataset, index)` makes the one of a row, so a row is a pure
function of these three numbers, whatever was drawn before it and on whatever machine.
"""

from random import Random
from typing import NamedTuple
from zlib import crc32

WOMEN = ("Anna", "Clara", "Emma", "Julia", "Maria", "Nora", "Rosa", "Vera")
MEN = ("Ben", "David", "Felix", "Hugo", "Jonas", "Oscar", "Peter", "Tom")
NAMES = WOMEN + MEN


class Relation(NamedTuple):
    name: str
    kind: str  # what its values are, in one word
    says: tuple[str, str]  # "drinks {}": the third person of each form
    asks: tuple[str, str]  # "drink {}": its infinitive, for questions
    values: tuple[str, ...]


RELATIONS = (
    Relation("drink", "drink", ("drinks {}", "orders {}"), ("drink {}", "order {}"), ("tea", "coffee", "milk", "juice", "water", "cocoa")),
    Relation(
        "town",
        "town",
        ("lives in {}", "has a home in {}"),
        ("live in {}", "have a home in {}"),
        ("Rome", "Oslo", "Paris", "Cairo", "Lima", "Delhi"),
    ),
    Relation(
        "pet",
        "animal",
        ("keeps a {}", "looks after a {}"),
        ("keep a {}", "look after a {}"),
        ("cat", "dog", "horse", "rabbit", "parrot", "goat"),
    ),
    Relation(
        "job",
        "job",
        ("works as a {}", "earns money as a {}"),
        ("work as a {}", "earn money as a {}"),
        ("baker", "doctor", "farmer", "teacher", "painter", "driver"),
    ),
    Relation(
        "music",
        "instrument",
        ("plays the {}", "practises the {}"),
        ("play the {}", "practise the {}"),
        ("flute", "piano", "violin", "drum", "guitar", "trumpet"),
    ),
)

# Words with two senses, each sense within one of six topics; and the words by which a sentence shows its topic.
TOPICS = {
    "nature": ("river", "forest", "lake", "hill", "meadow"),
    "money": ("cash", "coin", "loan", "price", "wallet"),
    "sport": ("team", "goal", "stadium", "player", "ball"),
    "cooking": ("oven", "soup", "pan", "kitchen", "flour"),
    "music": ("song", "choir", "melody", "concert", "band"),
    "travel": ("train", "ticket", "suitcase", "station", "map"),
}
AMBIGUOUS = {
    "bank": ("nature", "money"),
    "bat": ("nature", "sport"),
    "match": ("sport", "cooking"),
    "date": ("cooking", "travel"),
    "note": ("money", "music"),
    "bass": ("nature", "music"),
    "coach": ("sport", "travel"),
    "change": ("money", "travel"),
    "bill": ("money", "nature"),
    "trunk": ("nature", "travel"),
    "score": ("sport", "music"),
    "roll": ("cooking", "music"),
}
TOPIC_SENTENCES = (
    "The {a} and the {w} were near the {b}.",
    "We talked about the {w}, the {a} and the {b}.",
    "The {w} made us think of the {a} and the {b}.",
)


class Fact(NamedTuple):
    person: str
    relation: Relation
    value: str
    form: int


class Passage(NamedTuple):
    text: str
    facts: tuple[Fact, ...]
    pronoun: str  # of the last fact: "he", "she", or "" where the last fact is told with a name


def stream(seed: int, dataset: str, index: int) -> Random:
    """The random numbers of row `index` of a dataset."""
    return Random((seed << 96) | (crc32(dataset.encode()) << 64) | index)


def pick(rng: Random, items):
    """One of `items`, all equally likely; `random()` is the one method whose stream Python promises to keep."""
    return items[int(rng.random() * len(items))]


def other(rng: Random, items, *but):
    """One of `items` that is none of `but`."""
    return pick(rng, [item for item in items if item not in but])


def woman(person: str) -> bool:
    return person in WOMEN


def says(fact: Fact, subject: str | None = None) -> str:
    """The fact as a sentence, with its person or another subject."""
    return f"{subject or fact.person} {fact.relation.says[fact.form].format(fact.value)}."


def passage(rng: Random, same_relation: float = 0.8, mixed: float = 0.5, third: float = 0.4) -> Passage:
    """Two facts of two people. `mixed`: the chance to insist on different genders; `third`: that of a pronoun fact."""
    first = pick(rng, NAMES)
    if rng.random() < mixed:
        second = pick(rng, MEN if woman(first) else WOMEN)
    else:
        second = other(rng, NAMES, first)
    relation = pick(rng, RELATIONS)
    facts = [Fact(first, relation, pick(rng, relation.values), int(rng.random() * 2))]
    if rng.random() >= same_relation:
        relation = other(rng, RELATIONS, relation)
    facts.append(Fact(second, relation, other(rng, relation.values, facts[0].value), int(rng.random() * 2)))
    pronoun = ""
    if woman(first) != woman(second) and rng.random() < third:
        person = pick(rng, (first, second))
        relation = other(rng, RELATIONS, facts[0].relation, facts[1].relation)
        facts.append(Fact(person, relation, pick(rng, relation.values), int(rng.random() * 2)))
        pronoun = "she" if woman(person) else "he"
    sentences = [says(fact) for fact in facts[:2]]
    if pronoun:
        sentences.append(says(facts[2], pronoun.capitalize()))
    return Passage(" ".join(sentences), tuple(facts), pronoun)


def single(rng: Random) -> Passage:
    """One fact of one person: what the curriculum starts with."""
    relation = pick(rng, RELATIONS)
    fact = Fact(pick(rng, NAMES), relation, pick(rng, relation.values), int(rng.random() * 2))
    return Passage(says(fact), (fact,), "")


def people(story: Passage) -> tuple[str, ...]:
    """The people of a passage, in the order of their first fact."""
    return tuple(dict.fromkeys(fact.person for fact in story.facts))


def retell(rng: Random, fact: Fact, change: float = 0.5) -> Fact:
    """The same fact, with chance `change` in its relation's other form."""
    return fact._replace(form=1 - fact.form) if rng.random() < change else fact


def falsify(rng: Random, story: Passage, fact: Fact) -> Fact:
    """A fact that the passage does not tell: 40 % another person's value, 30 % another person, 30 % a new value."""
    draw = rng.random()
    taken = [f.value for f in story.facts if f.relation is fact.relation]
    rivals = [value for value in taken if value != fact.value]
    if draw < 0.4 and rivals:
        return fact._replace(value=pick(rng, rivals))
    if draw < 0.7 and draw >= 0.4:
        inside = [person for person in people(story) if person != fact.person]
        return fact._replace(person=inside[0] if inside else other(rng, NAMES, fact.person))
    return fact._replace(value=other(rng, fact.relation.values, *taken))


def topic_sentence(rng: Random, word: str, topic: str) -> str:
    """A sentence that uses `word` among two words of a topic."""
    a = pick(rng, TOPICS[topic])
    b = other(rng, TOPICS[topic], a)
    return pick(rng, TOPIC_SENTENCES).format(w=word, a=a, b=b)
