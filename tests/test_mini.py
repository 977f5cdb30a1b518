"""The miniature's training side: rows, prompts, vocabulary; and that nothing held out can enter training."""

import difflib
import functools
import re
import time
from random import Random

import jinja2
import pytest
from test_mini_heldout import GROUPS, MINI, TASKS, prompts, prompts_of, rows

import t0native as t0
from t0native.mini import curriculum, datasets
from t0native.mini import tasks as mini_tasks
from t0native.mini.datasets import MAKERS, Rows
from t0native.mini.strays import Strewn, english_words, stray_words, strew, training_words, words

ENV = jinja2.Environment(undefined=jinja2.StrictUndefined)
TRAINED = tuple(name for name in MAKERS if name != datasets.UNPROMPTED)


compiled = functools.cache(ENV.from_string)


def training_prompts(dataset: str) -> list[dict]:
    return prompts_of(MINI / "prompts" / dataset / "templates.yaml")


def rendered(prompt: dict, row: dict) -> tuple[str, str, list[str] | None]:
    """Input, target, choices, by Jinja2 itself."""
    choices = None
    if prompt["answer_choices"]:
        choices = [choice.strip() for choice in compiled(prompt["answer_choices"]).render(**row).split("|||")]
    text, target = (part.strip() for part in compiled(prompt["jinja"]).render(answer_choices=choices, **row).split("|||"))
    return text, target, choices


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_a_row_is_a_pure_function_of_seed_dataset_level_and_number():
    for name in MAKERS:
        one, two = Rows(name, 2, seed=3), Rows(name, 2, seed=3)
        order = Random(1).sample(range(10_000), 50)
        sorted_first = {i: one[i] for i in sorted(order)}
        assert all(two[i] == sorted_first[i] for i in order)
        assert [one[i] for i in range(20)] != [Rows(name, 2, seed=4)[i] for i in range(20)]
        assert [one[i] for i in range(20)] != [Rows(name, 2, seed=3, split="validation")[i] for i in range(20)]


def test_rows_behave_as_a_list():
    found = Rows("values", count=5)
    assert len(found) == 5 and len(list(found)) == 5 and found[-1] == found[4]
    with pytest.raises(IndexError, match="row 5 of 5"):
        found[5]


def test_rows_are_fast():
    """40 microseconds of processor time a row are asked for; a slow machine is given four times that."""
    for name in MAKERS:
        found = Rows(name)
        best = min(timed(found) for _ in range(3))
        assert best < 160e-6, f"{name}: {best * 1e6:.0f} us a row"


def timed(found: Rows) -> float:
    began = time.process_time()
    for i in range(300):
        found[i]
    return (time.process_time() - began) / 300


def test_labels_are_what_the_text_says():
    """yes_no, checked by another reading of the text: pronouns and both forms resolved by hand-written rules."""
    forms = {}
    for relation in datasets.RELATIONS:
        for says, asks in zip(relation.says, relation.asks):
            forms[says.split(" {}")[0].rstrip(" {}")] = relation.name
            forms[asks.split(" {}")[0].rstrip(" {}")] = relation.name

    def fact(text: str) -> tuple[str, str, str]:
        person, rest = text.split(" ", 1)
        verb, value = rest.rsplit(" ", 1)
        return person, forms[verb], value

    for i in range(400):
        row = Rows("yes_no")[i]
        told = []
        for sentence in row["text"].rstrip(".").split(". "):
            person, relation, value = fact(sentence)
            if person in ("He", "She"):
                women = datasets.NAMES[:8]
                person = next(name for name, _, _ in told if (name in women) == (person == "She"))
            told.append((person, relation, value))
        question = row["question"].rstrip("?").removeprefix("Does ").removeprefix("Is it ").replace(" who ", " ")
        assert (fact(question) in told) == (row["label"] == 0), row


def test_denoising_targets_fill_the_holes():
    for i in range(300):
        row = Rows("denoising")[i]
        holes = re.findall(r"<extra_id_(\d+)>", row["corrupted"])
        spans = re.split(r"<extra_id_\d+>", row["spans"])
        assert holes == [str(k) for k in range(len(holes))] and len(holes) <= datasets.SENTINELS
        assert spans[0] == "" and spans[-1] == "" and len(spans) == len(holes) + 2
        assert all(span.strip() for span in spans[1:-1])
        whole = row["corrupted"]
        for k, span in enumerate(spans[1:-1]):
            whole = whole.replace(f"<extra_id_{k}>", span.strip())
        assert "<" not in whole and whole.endswith(".")


# ---- prompts ---------------------------------------------------------------------------------------------------------


def test_eleven_datasets_in_seven_groups_have_six_to_sixteen_prompts():
    assert len(TRAINED) == 11 and set(mini_tasks.SHARES) == set(TRAINED)
    assert len(datasets.GROUPS) == 7 and sorted(name for names in datasets.GROUPS.values() for name in names) == sorted(TRAINED)
    for name in TRAINED:
        assert 6 <= len(training_prompts(name)) <= 16
    sizes = list(mini_tasks.DATASET_LISTS.values())
    assert all(set(small) < set(large) for small, large in zip(sizes, sizes[1:]))


def test_every_training_target_is_among_the_choices():
    for name in MAKERS:
        for prompt in training_prompts(name):
            for level in (1, 2):
                for i in range(60):
                    text, target, choices = rendered(prompt, Rows(name, level)[i])
                    assert text and target and "|||" not in text
                    assert choices is None or target in choices, (name, prompt["name"])


def test_prompt_ids_and_names_are_unique():
    every = [p for name in MAKERS for p in training_prompts(name)] + [p for group, task in GROUPS for p in prompts(group, task)]
    assert len({p["id"] for p in every}) == len(every)
    assert len({p["jinja"] for p in every}) == len(every) - 1  # values and persons share the plainest wording


class Letter:
    def __init__(self, choices):
        self.answer_choices = choices


def test_draws_are_nested_and_never_letters_alone():
    listed = {name: Letter(choices) for name, choices in zip("abcdefgh", ["A ||| B ||| C"] * 5 + ["x ||| y"] * 3)}
    firsts = set()
    for seed in range(60):
        draws = [set(mini_tasks.draw_prompts("d", listed, p, seed)) for p in (1, 2, 4, None)]
        assert [len(draw) for draw in draws] == [1, 2, 4, 8] and all(a < b for a, b in zip(draws, draws[1:]))
        firsts |= draws[0]
    assert firsts == set("fgh")


# ---- stray words -----------------------------------------------------------------------------------------------------


def test_strays_are_put_between_the_words_and_nothing_is_lost():
    text = "Anna drinks tea.\nBen drinks milk. Who drinks tea?"
    lengths = []
    for number in range(400):
        found = strew(Random(number), text)
        rest = iter(found.split(" "))
        assert all(word in rest for word in text.split(" ")), found  # in this order
        lengths.append(len(found.split(" ")) - len(text.split(" ")))
    assert 0.2 <= lengths.count(0) / 400 <= 0.5 and 0.7 < sum(lengths) / 400 < 1.9  # 8 words x 0.2 x 0.8


def test_strays_say_nothing_that_the_training_side_says():
    assert not set(stray_words()) & training_words() and len(stray_words()) > 1500


def test_only_training_inputs_are_strewn():
    for task in mini_tasks.training_tasks(2):
        assert isinstance(task, Strewn)
        for name in list(task.prompts)[:2]:
            again = task.render(name, 3, seed=1, key=8)
            assert task.render(name, 3, seed=1, key=8) == again
            assert again[1:] == t0.Task(task.name, task.rows, task.prompts).render(name, 3)[1:]
    tokenizer = t0.mini.tokenizer()
    for task in [*curriculum.validation_tasks(tokenizer), *mini_tasks.heldout_tasks(), *mini_tasks.development_tasks()]:
        assert not isinstance(task, Strewn)


# ---- nothing held out enters training --------------------------------------------------------------------------------


def test_no_held_out_text_occurs_in_training_inputs():
    """20,000 training inputs: none holds four or more words that stand together in a held-out wording, none is a held-out input."""
    fixed = {}
    for task in TASKS:
        for prompt in prompts("heldout", task):
            for part in re.split(r"\{\{.*?\}\}|\{%.*?%\}", prompt["jinja"].split("|||")[0]):
                if len(words_of(part)) >= 4:
                    fixed[" ".join(words_of(part))] = f"{task}: {prompt['name']}"
    inputs = set()
    for task in TASKS:
        for prompt in prompts("heldout", task):
            for row in rows("heldout", task):
                inputs.add(" ".join(words_of(rendered(prompt, row)[0])))
    listed = [(name, prompt) for name in MAKERS for prompt in training_prompts(name)]
    seen = 0
    while seen < 20_000:
        name, prompt = listed[seen % len(listed)]
        text = " ".join(words_of(rendered(prompt, Rows(name)[seen])[0]))
        assert text not in inputs
        assert not [where for part, where in fixed.items() if part in text], text
        seen += 1


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def shape(prompt: dict) -> str:
    """The wording with its fields as X."""
    text = re.sub(r"\{%.*?%\}", " ", re.sub(r"\{\{.*?\}\}", " X ", prompt["jinja"].split("|||")[0]))
    return " ".join(re.findall(r"[a-zX_]+", text.replace("X", "\0").lower().replace("\0", "X")))


def test_the_nearest_training_wording_of_each_held_out_wording():
    """Listed (pytest -rP), and none of them near."""
    trained = [(f"{name}: {prompt['name']}", shape(prompt)) for name in TRAINED for prompt in training_prompts(name)]
    for task in sorted(TASKS):
        for prompt in prompts("heldout", task):
            mine = shape(prompt).split()
            near, where = max(
                (difflib.SequenceMatcher(None, mine, other.split(), autojunk=False).ratio(), where) for where, other in trained
            )
            print(f"{near:.2f}  {task}: {prompt['name']}  <-  {where}")
            assert near < 0.85, (task, prompt["name"], where)


def test_words_of_held_out_wordings_that_no_training_text_holds():
    known = training_words()
    special = set()
    for task in TASKS:
        for prompt in prompts("heldout", task):
            special |= words(re.sub(r"\{\{.*?\}\}", " ", prompt["jinja"])) - known
    assert {"premise", "hypothesis", "imply", "infer", "pronoun", "refer", "blank", "ending", "sense", "meaning"} <= special
    assert len(special) >= 45


def test_blanks_are_told_in_untrained_verbs():
    known = training_words()
    for verb in ("bought", "poured", "walked", "knows", "fed", "hired", "proud", "tuned", "carried", "lesson"):
        assert verb not in known


# ---- vocabulary ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces():
    sentencepiece = pytest.importorskip("sentencepiece")
    return sentencepiece.SentencePieceProcessor(model_file=str(mini_tasks.VOCABULARY))


def test_known_words_are_one_piece_each_whatever_stands_around(pieces):
    for word in training_words() | set(english_words()):
        for text in (word, word.upper(), f'"{word}"', f"({word},", f"- {word.capitalize()}:", f"{word}/{word}"):
            assert "\u2581" + word in pieces.encode(text, out_type=str), text


def test_any_wording_can_be_spelled(pieces):
    unknown = pieces.unk_id()
    for group, task in GROUPS:
        for prompt in prompts(group, task):
            assert unknown not in pieces.encode(rendered(prompt, rows(group, task)[0])[0])
    assert unknown not in pieces.encode("".join(chr(code) for code in range(32, 127)) + "\u201cCaf\u00e9\u201d \u2014 na\u00efve\u2026")


def test_sentinels_are_single_pieces(pieces):
    row = Rows("denoising")[0]
    for text in row.values():
        assert [piece for piece in pieces.encode(text, out_type=str) if "<" in piece] == re.findall(r"<extra_id_\d+>", text)


def test_the_vocabulary_comes_from_its_script(pieces, tmp_path):
    from t0native.mini.make_vocabulary import write

    write(tmp_path / "again.model")
    assert (tmp_path / "again.model").read_bytes() == mini_tasks.VOCABULARY.read_bytes()


def test_our_tokenizer_gives_sentencepieces_ids(pieces):
    from t0native.text.tokenizer import Tokenizer

    ours = Tokenizer.from_file(mini_tasks.VOCABULARY, extra_ids=0)
    texts = [rendered(prompt, Rows(name)[i])[0] for name in MAKERS for prompt in training_prompts(name) for i in range(10)]
    texts += [rendered(prompt, row)[0] for group, task in GROUPS for prompt in prompts(group, task) for row in rows(group, task)[:10]]
    texts += ["", "  ", "\u201cCaf\u00e9\u201d \u2014 na\u00efve\u2026", "<extra_id_0><extra_id_1> tea", "\u4e2d\u6587 x", "A\n\tB"]
    for text in texts:
        assert list(ours.encode(text)) == pieces.encode(text), text
