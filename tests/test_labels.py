"""Labels that are no answer, rows that cannot serve, and rows without an answer as SQuAD 2.0 has them: in evaluation, training and check."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import FakeModel, FakePrompt, rows_of, yes_no

import t0native as t0
from t0native.prompts.check import check_file
from t0native.tasks.metrics import METRICS, Metric, find_metric
from t0native.tasks.sifting import sift

MOOD = t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
SOUND = [{"text": "I loved it.", "label": 1}, {"text": "I hated it.", "label": 0}]
PLACE = "the 2 items need a whole number (int) from 0 to 1"
NO_ANSWER = [  # a label; what must be said of it
    ("1", f"answer_choices[label] is undefined: label is '1' (str), {PLACE}"),
    ("", f"answer_choices[label] is undefined: label is '' (str), {PLACE}"),
    (1.0, f"answer_choices[label] is undefined: label is 1.0 (float), {PLACE}"),
    (math.nan, f"answer_choices[label] is undefined: label is nan (float), {PLACE}"),
    (None, f"answer_choices[label] is undefined: label is None (NoneType), {PLACE}"),
    (2, f"answer_choices[label] is undefined: label is 2 (int), {PLACE}"),
    (-1, "answer_choices[label] counts from the end: label is -1 (int)"),
    (-2, "answer_choices[label] counts from the end: label is -2 (int)"),
    (np.int64(-1), "answer_choices[label] counts from the end: label is "),
]


def task_of(*rows, prompt=MOOD, **more):
    return t0.Task("moods", list(rows), {prompt.name: prompt}, **more)


def bad(label):
    return {"text": "So so.", "label": label}


@pytest.mark.parametrize("label, told", NO_ANSWER)
def test_an_evaluation_drops_labels_that_are_no_answer(label, told, caplog):
    cell = t0.evaluate(FakeModel(), task_of(*SOUND, bad(label), bad(label)), progress=False).cells[0]
    assert (cell["status"], cell["n"], cell["dropped"], cell["value"]) == ("ok", 2, 2, 0.5)
    assert cell["reason"].startswith(f"2 rows dropped: the target is no answer (first row 2: {told}")
    (warning,) = [record.getMessage() for record in caplog.records]  # one, which names task, prompt and row
    assert warning == f"task 'moods', prompt 'mood': {cell['reason']}"
    cell = t0.evaluate(FakeModel(), task_of(bad(label), bad(label)), progress=False).cells[0]
    assert cell["status"] == "failed" and cell["value"] is None and told in cell["reason"]
    assert cell["reason"].startswith("DataError: no row is left of 2 (2 rows dropped: the target is no answer (first row 0: ")


@pytest.mark.parametrize("label, told", NO_ANSWER)
def test_a_training_draws_other_rows_for_them(label, told, caplog):
    mixture = t0.Mixture([task_of(*SOUND, bad(label))])
    drawn = mixture.examples(0, 0, 60)
    assert {example.row for example in drawn} == {0, 1} and any(example.attempt for example in drawn)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"task 'moods', prompt 'mood', row 2: the target is no answer: {told}")
    assert warning.endswith("; another row is drawn for each such, and Run.dropped counts them")
    assert mixture.dropped() == {"moods/mood": (3, 1)}
    with pytest.raises(t0.DataError) as error:
        t0.Mixture([task_of(bad(label))]).example(0, 0)
    assert str(error.value).startswith(
        f"task 'moods', prompt 'mood': 100 rows drawn one after the other gave no example (the last, row 0: the target is no answer: {told}"
    )


def test_rows_that_serve_are_drawn_as_ever():
    """What a mixture of sound rows draws hangs on nothing that sifting does."""
    mixture = t0.Mixture([task_of(*SOUND)])
    assert mixture.examples(3, 0, 40) == mixture.examples(3, 0, 40, answers=False)
    before = [e.row for e in t0.Mixture([task_of(*SOUND, bad(1))]).examples(0, 0, 60)]
    after = [(e.row, e.attempt) for e in t0.Mixture([task_of(*SOUND, bad(-1))]).examples(0, 0, 60)]
    assert [row for row in before if row != 2] == [row for (row, attempt) in after if attempt == 0]


def test_a_training_counts_them_and_may_keep_them(tmp_path, caplog):
    def train(model, **more):
        return t0.train(model, t0.Mixture([task_of(*SOUND, bad(-1))]), steps=6, batch_size=4, progress=False, **more)

    config = t0.Config(vocab_size=t0.Model.mini().tokenizer.vocab_size, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    models = [t0.Model.init(config, tokenizer=t0.Model.mini().tokenizer, seed=1) for _ in range(4)]
    dropping, keeping = train(models[0]), train(models[1], unanswered="keep")
    assert dropping.dropped["moods/mood"] > 0 and keeping.dropped == {} and dropping.losses != keeping.losses
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
        "the target is no answer", "the target is no answer, and is trained on",
    ]  # fmt: skip
    train(models[2], out=tmp_path, unanswered="keep")
    longer = t0.train(models[2], t0.Mixture([task_of(*SOUND, bad(-1))]), steps=9, batch_size=4, progress=False, out=tmp_path)
    assert longer.dropped == {} and longer.losses[:6] == keeping.losses  # as it began
    with pytest.raises(t0.ConfigError, match="another plan: unanswered was 'keep', is 'drop'"):
        train(models[2], out=tmp_path, unanswered="drop")
    with pytest.raises(t0.ConfigError, match="unanswered 'all': must be 'drop' or 'keep', or None"):
        train(models[3], unanswered="all")


FREE = t0.Prompt("free", "{{ text }} ||| {{ answer }}")


@pytest.mark.parametrize("answer", [None, math.nan, "", " "])
def test_what_is_none_nan_or_empty_is_no_answer(answer):
    task = t0.Task("free", [{"text": "a", "answer": "None"}, {"text": "b", "answer": "nan"}, {"text": "c", "answer": answer}], [FREE])
    assert [sift(task, "free", i).reason for i in range(3)] == [None, None, "the target is no answer"]  # a text may say None
    assert sift(task, "free", 2, answers=False).reason is None


def test_promptsource_s_own_behaviour_stays_reachable():
    hidden = bad(-1)
    assert MOOD.apply(hidden) == ["So so. Good or bad?", "good"] and MOOD.render(hidden).target == "good"
    assert MOOD.render(bad("1")).target == "<NO LABEL>"
    cell = t0.evaluate(FakeModel(), task_of(*SOUND, hidden), compat="t0-2021", progress=False).cells[0]
    assert (cell["status"], cell["n"], cell["dropped"]) == ("ok", 3, 0)
    cell = t0.evaluate(FakeModel(), task_of(*SOUND, bad(2)), compat="t0-2021", progress=False).cells[0]
    assert cell["status"] == "failed" and "t-zero's script stops at such rows" in cell["reason"]


CHOICES = [  # template, label, what is told beside target and choices
    ("{{ label }}", 1, "label is 1 (int): write answer_choices[label] as the target"),
    ("{{ label }}", "1", "label is '1' (str): write answer_choices[label] as the target, with label as a whole number (int)"),
    ("{{ label }}", "Good", "label is 'Good' (str): it must be one of the choices, or their place, written as answer_choices[label]"),
    ("{{ label }}", 1.0, "label is 1.0 (float): write answer_choices[label] as the target, with label as a whole number (int)"),
    ("it is {{ label }}", 7, "label is 7 (int)"),
]


@pytest.mark.parametrize("template, label, told", CHOICES)
def test_a_target_that_is_no_choice_is_told_with_its_label(template, label, told, tmp_path, caplog):
    prompt = t0.Prompt("mood", "{{ text }} ||| " + template, "bad ||| good")
    task = task_of(bad("good" if template.startswith("{{") else 7), bad(label), prompt=prompt)
    cell = t0.evaluate(FakeModel(), task, progress=False).cells[0]
    assert cell["reason"].rstrip(")").endswith(told.rstrip(")")) and "choices ['bad', 'good']" in cell["reason"]
    assert (cell["status"], cell["dropped"]) == (("ok", 1) if template.startswith("{{") else ("failed", 2))


def test_one_warning_a_task_names_the_first_prompt(caplog):
    prompts = {name: t0.Prompt(name, "{{ text }} ||| {{ answer_choices[label] }}", "bad ||| good") for name in ("a", "b", "c")}
    prompts["plain"] = t0.Prompt("plain", "{{ text }} ||| bad", "bad ||| good")
    task = t0.Task("moods", [*SOUND, bad(None)], prompts)
    for _ in range(2):  # as a validation again and again
        t0.evaluate(FakeModel(), task, progress=False)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("task 'moods', prompt 'a': 1 row dropped: ")
    assert warning.endswith("; so it is under 2 more of its prompts, see report.cells")


def test_rows_that_the_prompt_drops_need_no_warning(caplog):
    prompt = t0.Prompt("odd", "{% if label %}{{ text }} ||| {{ answer_choices[label] }}{% endif %}", "bad ||| good")
    cell = t0.evaluate(FakeModel(), task_of(*SOUND, prompt=prompt), progress=False).cells[0]
    assert (cell["n"], cell["dropped"]) == (1, 1) and not caplog.records


def test_public_rows_and_the_miniature_lose_none(public_data, promptsource_folder):
    prompts = t0.PromptCollection.load(promptsource_folder)
    for dataset, file in [
        ("super_glue/copa", "superglue-val/COPA.val.jsonl"), ("super_glue/wsc.fixed", "superglue-val/WSC.val.jsonl"),
        ("super_glue/wic", "superglue-val/WiC.val.jsonl"), ("piqa", "piqa-val/valid.jsonl"), ("cos_e/v1.0", "cos-e-v1.0/dev_rand_split.jsonl"),
    ]:  # fmt: skip
        if dataset not in prompts:
            dataset_prompts = prompts["cos_e/v1.11"]
        else:
            dataset_prompts = prompts[dataset]
        task = t0.Task(dataset, t0.read_rows(public_data / "data" / file, dataset)[:60], dataset_prompts)
        for prompt in task.prompts:
            for index in range(len(task)):
                sifted = sift(task, prompt, index)
                assert sifted.reason is None or not sifted.told, (dataset, prompt, index, sifted)
    for task in t0.mini.held_out_tasks():
        for prompt in task.prompts:
            assert all(sift(task, prompt, index, choices=True).reason is None for index in range(40))


# ---- prompt check ----------------------------------------------------------------------------------------------------


def told_by_check(tmp_path, jinja, rows):
    path = tmp_path / "templates.yaml"
    path.write_text("dataset: d\ntemplates:\n  a: {name: mood, answer_choices: bad ||| good, jinja: %s}\n" % json.dumps(jinja))
    return [what for _, _, what in check_file(path, rows) if "row" in what]


@pytest.mark.parametrize("label, told", NO_ANSWER)
def test_check_tells_labels(tmp_path, label, told):
    (what,) = told_by_check(tmp_path, MOOD.jinja, [*SOUND, bad(label), bad(label)])
    assert what.startswith(f"2 of 4 rows: the target is no answer; row 2: {told}")
    (what,) = told_by_check(tmp_path, MOOD.jinja, [bad(label)])
    assert what.startswith(f"none of 1 rows gives a target; row 0: {told}")


def test_check_tells_rows_and_choices(tmp_path):
    rows = [bad("good"), bad(1), {"text": "half \ud83d", "label": "bad"}]
    assert told_by_check(tmp_path, "{{ text }} ||| {{ label }}", rows) == [
        "1 of 3 rows: it cannot be rendered; row 2: input: lone surrogate U+d83d at index 5; repair the row's text",
        "1 of 3 rows: the target is not among the choices; row 1: target '1', choices ['bad', 'good']; label is 1 (int): write "
        "answer_choices[label] as the target",
    ]


# ---- one row never fails a cell --------------------------------------------------------------------------------------


ODD = [  # a row among sound ones; why it is dropped
    ({"text": "half \ud83d", "label": 1}, "half a character is no text (first row 2: input: lone surrogate U+d83d at index 5; repair the row's text)"),
    ({"text": "\udc00", "label": 1}, "half a character is no text (first row 2: input: lone surrogate U+dc00 at index 0; repair the row's text)"),
    ({"texts": "a", "label": 1}, "it cannot be rendered (first row 2: no field 'text'; nearest is 'texts' (the row has: texts, label))"),
    ({"text": "a", "label": 1, 7: "x"}, "it cannot be rendered (first row 2: example: the field name 7 is int, must be text)"),
    ({"text": "a", "label": [1, {}]}, "the target is no answer (first row 2: answer_choices[label] is undefined: label is "),
]  # fmt: skip


@pytest.mark.parametrize("row, why", ODD)
def test_a_row_that_cannot_be_rendered_or_tokenized_is_dropped(row, why):
    cell = t0.evaluate(t0.Model.mini(), task_of(*SOUND, row), progress=False).cells[0]
    assert (cell["status"], cell["n"], cell["dropped"]) == ("ok", 2, 1) and cell["reason"].startswith(f"1 row dropped: {why}")


def test_a_template_that_fails_on_one_row():
    prompt = t0.Prompt("mood", "{{ text.x.y if label == 7 else text }} ||| bad", "bad ||| good")
    cell = t0.evaluate(FakeModel(), task_of(*SOUND, bad(7), prompt=prompt), progress=False).cells[0]
    assert (cell["n"], cell["dropped"]) == (2, 1) and "it cannot be rendered (first row 2: line 1, column" in cell["reason"]


class Own:
    """A model of one's own: refuses inputs that hold `refused`, all of them where it is broken, and scores by what the input says."""

    fingerprint = "own"

    def __init__(self, refused=None, scores=None, index=None):
        self.refused, self.scores, self.index, self.calls = refused, scores or {}, index or {}, 0

    def rank(self, inputs, choices, **options):
        self.calls += 1
        if self.refused is not None and any(self.refused in text for text in inputs):
            raise t0.DataError("input 0: refused")
        texts = [text.split(" Good")[0] for text in inputs]
        return [SimpleNamespace(index=self.index.get(t, 0), scores=self.scores.get(t, [-1.0, -2.0]), lengths=[1, 1]) for t in texts]


def many(n, odd=()):
    return [{"text": f"odd {i}" if i in odd else f"row {i}", "label": i % 2} for i in range(n)]


@pytest.mark.parametrize("odd", [(0,), (5,), (39,), (0, 1, 20), range(0, 40, 4)])
def test_a_row_that_a_model_cannot_answer_is_dropped(odd, caplog):
    model = Own("odd")
    report = t0.evaluate(model, task_of(*many(40, odd)), progress=False)
    cell = report.cells[0]
    assert (cell["status"], cell["n"], cell["dropped"]) == ("ok", 40 - len(odd), len(odd))
    assert f"the model cannot answer it (first row {min(odd)}: DataError: input 0: refused)" in cell["reason"]
    assert np.isnan(report.correct[0][list(odd)]).all() and len(caplog.records) == 1
    kept = [i for i in range(40) if i not in odd]
    assert report.correct[0][kept].tolist() == [float(i % 2 == 0) for i in kept]  # each answer stays with its row


def test_a_broken_model_fails_soon_and_with_its_own_error():
    model = Own("row")
    cell = t0.evaluate(model, task_of(*many(1000)), progress=False).cells[0]
    assert cell["reason"] == "DataError: input 0: refused" and model.calls < 40
    model = Own("odd")
    cell = t0.evaluate(model, task_of(*many(400, range(0, 400, 2))), progress=False).cells[0]  # half of them: it is no row's fault
    assert cell["status"] == "failed" and cell["reason"] == "DataError: input 0: refused"


@pytest.mark.parametrize("scores", [[-math.inf, -1.0], [math.nan, -1.0], [-1.0, math.inf], [-math.inf, -math.inf]])
def test_scores_that_are_not_finite_name_the_row(scores):
    cell = t0.evaluate(Own(scores={"row 3": scores}), task_of(*many(6)), progress=False).cells[0]
    assert (cell["n"], cell["dropped"]) == (5, 1)
    assert (
        cell["reason"].startswith("1 row dropped: the model's scores are not finite (first row 3: [")
        and "['bad', 'good']" in cell["reason"]
    )
    cell = t0.evaluate(Own(scores={f"row {i}": scores for i in range(6)}), task_of(*many(6)), progress=False).cells[0]
    assert (
        cell["status"] == "failed"
        and "no row is left of 6 (6 rows dropped: the model's scores are not finite (first row 0" in cell["reason"]
    )


@pytest.mark.parametrize("index", [-1, 2, np.int64(9)])
def test_a_number_that_is_no_choice_names_the_row(index):
    cell = t0.evaluate(Own(index={"row 1": index}), task_of(*many(6)), progress=False).cells[0]
    assert (cell["n"], cell["reason"]) == (5, f"1 row dropped: the model takes none of the choices (first row 1: number {index} of 2)")


def test_a_metric_that_fails_on_one_row():
    def of_row(index, targets):
        return {0: 1.0, 1: math.nan}[index] if len(targets) == 2 else 1 / 0

    metrics = Metric("mine", "choices", of_row=of_row)
    prompt = t0.Prompt("mood", "{{ text }} ||| bad", "bad ||| good{% if label == 3 %} ||| fine{% endif %}")
    rows = [*many(4), bad(3), {"text": "row 9", "label": 0}]
    cell = t0.evaluate(Own(index={"row 9": 1}), task_of(*rows, prompt=prompt, metric=metrics), progress=False).cells[0]
    assert (cell["status"], cell["n"], cell["value"]) == ("ok", 4, 1.0)
    assert cell["reason"].startswith("2 rows dropped: it cannot be scored (first row 4: metric 'mine': ZeroDivisionError: division by zero")


def test_a_target_that_a_correlation_cannot_read_is_dropped():
    rows = [{"text": str(i), "answer": str(i)} for i in range(5)] + [{"text": "x", "answer": "many"}]
    model = SimpleNamespace(
        rank=None, tokenizer=SimpleNamespace(encode=len and (lambda text: list(text))), fingerprint="f",
        generate=lambda inputs, **options: inputs,
    )  # fmt: skip
    cell = t0.evaluate(model, t0.Task("n", rows, [FREE], "pearson"), progress=False).cells[0]
    assert (cell["n"], cell["dropped"], cell["value"]) == (5, 1, pytest.approx(1.0)) and "target 'many' is no number" in cell["reason"]


def test_the_journal_keeps_what_was_dropped(tmp_path):
    rows, model = many(20, (3, 11)), Own("odd", scores={"row 7": [-math.inf, 0.0]})
    first = t0.evaluate(model, task_of(*rows), out=tmp_path, progress=False)
    calls, content = model.calls, (tmp_path / "report.json").read_bytes()
    assert first.cells[0]["dropped"] == 3 and len(first.examples(first.cells[0])) == 17
    again = t0.evaluate(model, task_of(*rows), out=tmp_path, progress=False)
    assert model.calls == calls and (tmp_path / "report.json").read_bytes() == content  # nothing is asked again
    assert again.cells == first.cells and np.array_equal(again.correct[0], first.correct[0], equal_nan=True)


# ---- SQuAD 2.0 -------------------------------------------------------------------------------------------------------


ANSWERED = {"question": "Who keeps a cat?", "answers": {"text": ["Anna", "anna"], "answer_start": [0, 0]}}
UNANSWERED = {"question": "Who keeps a dog?", "answers": {"text": [], "answer_start": []}}
SQUAD = t0.Prompt("q", "{{ question }} ||| {% if answers.text %}{{ answers.text[0] }}{% else %}unanswerable{% endif %}")
FIRST = t0.Prompt("first", "{{ question }} ||| {{ answers.text[0] }}")


def squad(prompt, says):
    class Says(FakeModel):
        def generate(self, inputs, max_new_tokens, truncate, progress):
            return [says.get(text, "Anna") for text in inputs]

    task = t0.Task("squad_v2", [ANSWERED, UNANSWERED], [prompt], ["squad_em:answers.text", "squad_f1:answers.text"])
    report = t0.evaluate(Says(), task, progress=False)
    return report.cells[0], report.correct[0].tolist()


@pytest.mark.parametrize("said, right", [
    ("", 1), (" ", 1), (".", 1), ("the", 1), ("Unanswerable.", 1), ("unanswerable", 1), ("Anna", 0), ("no answer", 0), ("an unanswerable one", 0),
])  # fmt: skip
def test_a_question_without_an_answer(said, right):
    """By the official script: what the normalisation leaves nothing of is right; and the wording in which the prompt says so."""
    cell, rows = squad(SQUAD, {UNANSWERED["question"]: said})
    assert (cell["status"], cell["n"], cell["dropped"], rows) == ("ok", 2, 0, [1.0, float(right)])
    assert cell["metrics"]["squad_em:answers.text"] == (1 + right) / 2
    assert cell["metrics"]["squad_f1:answers.text"] == (1 + right) / 2 or said == "an unanswerable one"


def test_a_prompt_without_words_for_it_leaves_the_empty_text():
    cell, rows = squad(FIRST, {UNANSWERED["question"]: ""})
    assert (cell["n"], cell["dropped"], rows) == (2, 0, [1.0, 1.0])
    assert squad(FIRST, {UNANSWERED["question"]: "<NO LABEL>"})[1] == [1.0, 0.0]


def test_answers_that_are_there_are_judged_as_ever():
    assert squad(SQUAD, {})[1] == [1.0, 0.0] and squad(SQUAD, {ANSWERED["question"]: ""})[1] == [0.0, 0.0]
    assert squad(SQUAD, {ANSWERED["question"]: "unanswerable"})[1] == [0.0, 0.0]


def test_other_metrics_know_no_questions_without_an_answer():
    assert [name for name, metric in METRICS.items() if metric.no_answer] == ["squad_em", "squad_f1"]
    assert find_metric("squad").no_answer
    rows = [{"question": "a", "answers": ["Anna"]}, {"question": "b", "answers": []}]
    prompt = t0.Prompt("q", "{{ question }} ||| {{ answers[0] }}")
    model = SimpleNamespace(rank=None, generate=lambda inputs, **options: ["Anna"] * len(inputs), tokenizer=SimpleNamespace(encode=list))
    cell = t0.evaluate(model, t0.Task("record", rows, [prompt], "record_em"), progress=False).cells[0]
    assert (cell["n"], cell["dropped"], cell["value"]) == (1, 1, 1.0)
    assert "what is right cannot be told (first row 1: metric 'record_em', row 1: its target is []" in cell["reason"]


def test_rows_without_choices_among_others_are_dropped_where_choices_are_judged():
    prompt = FakePrompt("p", lambda row: (row["text"], "yes", None if row["label"] == 7 else ["no", "yes"]))
    cell = t0.evaluate(FakeModel(), task_of(*rows_of(3), bad(7), prompt=prompt, metric="accuracy"), progress=False).cells[0]
    assert (cell["n"], cell["dropped"], cell["reason"]) == (3, 1, "1 row dropped: it has no answer choices (first row 3)")
    cell = t0.evaluate(FakeModel(), t0.Task("t", rows_of(3), {"p": yes_no()}, "accuracy"), progress=False).cells[0]
    assert cell["dropped"] == 0
