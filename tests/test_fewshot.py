"""Few-shot: which rows stand before a row, and how."""

import pytest

import t0native as t0
from t0native.tasks.bigbench import BigBenchPrompt, Form
from t0native.tasks.fewshot import FewShotPrompt, few_shot

ECHO = t0.Prompt("echo", "Say {{ text }}. ||| {{ answer_choices[label] }}", "no ||| yes")


def rows(n, first=0):
    return [{"text": f"t{i}", "label": i % 2} for i in range(first, first + n)]


def shots_of(task, index, prompt="echo"):
    """The shots' own texts before a row."""
    *shots, _ = task.render(prompt, index).input.split("\n\n")
    return shots


def test_shots_stand_before_the_row_with_their_answers():
    task = few_shot(t0.Task("a", rows(3), [ECHO]), 2, rows(50, first=100))
    example = task.render("echo", 1)
    *shots, last = example.input.split("\n\n")
    assert last == "Say t1." and example.target == "yes" and example.choices == ["no", "yes"]
    assert len(set(shots)) == 2
    for shot in shots:
        text, answer = shot.removeprefix("Say t").split(". ")
        assert 100 <= int(text) < 150 and answer == ("no", "yes")[int(text) % 2]


def test_the_seed_and_the_row_decide_alone():
    task = t0.Task("a", rows(20), [ECHO, t0.Prompt("other", "{{ text }}? ||| {{ label }}")])
    first, again, other = (few_shot(task, 3, rows(2000, first=100), seed=seed) for seed in (5, 5, 6))
    drawn = [shots_of(first, i) for i in range(20)]
    assert drawn == [shots_of(again, i) for i in reversed(range(20))][::-1]
    assert len({tuple(shots) for shots in drawn}) == 20 and drawn != [shots_of(other, i) for i in range(20)]
    numbers = [shot.split(".")[0].removeprefix("Say ") for shot in drawn[4]]
    assert [shot.split("?")[0] for shot in shots_of(first, 4, "other")] == numbers  # the same rows under every prompt


def test_a_row_is_never_its_own_shot():
    task = few_shot(t0.Task("a", rows(4), [ECHO]), 3)
    for i in range(4):
        assert sorted(shots_of(task, i)) == [f"Say t{j}. {('no', 'yes')[j % 2]}" for j in range(4) if j != i]
    with pytest.raises(
        t0.DataError, match="^task 'a', prompt 'echo', row 0: 4 shots are asked for, but only 3 of the 4 rows drawn from serve$"
    ):
        few_shot(t0.Task("a", rows(4), [ECHO]), 4).render("echo", 0)
    twins = few_shot(t0.Task("a", [{"text": "x", "label": 0}] * 3 + rows(1), [ECHO]), 1)
    assert [shots_of(twins, i) for i in range(3)] == [["Say t0. no"]] * 3


def test_rows_that_a_prompt_drops_are_no_shots():
    odd = t0.Prompt("odd", "{% if label %}{{ text }} ||| yes{% endif %}")
    stray = t0.Prompt("stray", "{{ text }} ||| {{ 'yes' if label else 'maybe' }}", "yes ||| no")
    for prompt in (odd, stray):
        task = few_shot(t0.Task("a", rows(2), [prompt]), 3, rows(40, first=10))
        texts = [shot.split()[0] for shot in shots_of(task, 1, prompt.name)]
        assert len(texts) == 3 and all(int(text[1:]) % 2 for text in texts)
    assert few_shot(t0.Task("a", rows(2), [odd]), 1, rows(4)).render("odd", 0) is None


def test_what_a_prompt_is_otherwise_stays():
    task = t0.Task("a", rows(2), [ECHO], metric="accuracy", dataset="d/s", split="validation")
    assert few_shot(task, 0) is task
    made = few_shot(task, 2, rows(9))
    prompt = made.prompts["echo"]
    assert isinstance(prompt, FewShotPrompt)
    assert (prompt.id, prompt.answer_choices, prompt.fields, prompt.metadata) == (ECHO.id, ECHO.answer_choices, ECHO.fields, ECHO.metadata)
    assert (made.full_dataset, made.split, made.metric) == ("d/s", "validation", "accuracy")
    others = [few_shot(task, 2, rows(8)), few_shot(task, 1, rows(9)), few_shot(task, 2, rows(9), seed=1)]
    assert len({prompt.jinja, *(other.prompts["echo"].jinja for other in others)}) == 4
    assert few_shot(task, 2, rows(9)).prompts["echo"].jinja == prompt.jinja


def test_big_bench_joins_its_own_way():
    form = Form("Add.\n", "Sum: ", " Is: ", few_shot_example_separator="\n##\n", append_choices_to_input=False)
    made = [
        {"input": f"{i}+{i}", "choices": [str(2 * i), "x"], "worth": {str(2 * i): 1, "x": 0}, "answers": [str(2 * i)], "subtask": part}
        for i in range(4)
        for part in "ab"
    ]
    prompt = BigBenchPrompt("own", {"a": form, "b": form})
    task = few_shot(t0.Task("sums", made, [prompt]), 3)
    example = task.render("own", 2)
    head, *shots, last = example.input.replace("Add.\n", "Add.\n\n##\n", 1).split("\n##\n")
    assert (head, last) == ("Add.\n", "Sum: 1+1 Is: ") and example.target == "2"
    assert sorted(shots) == ["Sum: 0+0 Is: 0", "Sum: 2+2 Is: 4", "Sum: 3+3 Is: 6"]  # of its own part


@pytest.mark.parametrize("shots", [-1, 1001, 2.5, "2", True])
def test_numbers_of_shots_that_cannot_be(shots):
    with pytest.raises(t0.ConfigError, match="^shots .*: must be a whole number from 0 to 1000$"):
        few_shot(t0.Task("a", rows(2), [ECHO]), shots)


def test_rows_to_draw_from_need_the_fields():
    with pytest.raises(t0.DataError, match="^task 'a, shots', prompt 'echo', row 0: no field 'label'"):
        few_shot(t0.Task("a", rows(2), [ECHO]), 1, [{"text": "x"}])


def test_long_inputs_lose_their_first_shots():
    model = t0.mini.new_model(0)
    rank, asked = model.rank, []
    model.rank = lambda inputs, choices, **options: asked.append((inputs, options["truncate"])) or rank(inputs, choices, **options)
    t0.evaluate(model, few_shot(t0.Task("a", rows(2), [ECHO]), 300, rows(400, first=100)), progress=False)
    [(inputs, truncate)] = asked
    ids = model.tokenizer.encode(inputs[1])
    assert truncate == "start" and len(ids) > 1024
    found = rank(inputs, [["no", "yes"]] * 2, truncate="start")[1]
    assert found.scores.tolist() == rank(ids[-1024:], ["no", "yes"]).scores.tolist()
    assert found.scores.tolist() != rank(ids[:1024], ["no", "yes"]).scores.tolist()
