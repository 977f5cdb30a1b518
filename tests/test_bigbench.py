"""BIG-bench: its task.json, rows of query, choices and gold, and the hub's columns, under their authors' prompts."""

import json

import numpy as np
import pytest

import t0native as t0
from t0native.tasks.bigbench import T0_TASKS, BigBenchPrompt, Form, cut_at_stop, find_task, read_task


class Guess:
    """Ranks the first choice first."""

    def rank(self, inputs, choices, **options):
        return [
            type("Ranking", (), {"index": 0, "scores": [0.0] * len(row), "lengths": [1] * len(row), "normalized": [0.0] * len(row)})
            for row in choices
        ]


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def task_json(**changes):
    examples = [{"input": f"{i} + {i}", "target_scores": {str(i): 0, str(2 * i): 1, "7": 0.5}} for i in range(1, 4)]
    return {"examples": examples, "preferred_score": "multiple_choice_grade", "metrics": ["multiple_choice_grade"]} | changes


def mosaic(n):
    return [{"query": f"{i} + {i}", "choices": [str(i), str(2 * i), "7"], "gold": 1} for i in range(1, n + 1)]


def rendered(tmp_path, content, row=0, **options):
    rows, form, _ = read_task(put(tmp_path, "task.json", content))
    return BigBenchPrompt("own", {"": form}).render({**rows[row], "subtask": ""}, **options)


def test_the_prompt_is_what_the_file_says(tmp_path):
    form = {
        "task_prefix": "Add.\n",
        "example_input_prefix": "Sum: ",
        "example_output_prefix": " Is: ",
        "choice_prefix": " or ",
        "append_choices_to_input": False,
    }
    assert rendered(tmp_path, task_json(**form)).input == "Add.\nSum: 1 + 1 Is: "
    example = rendered(tmp_path, task_json())  # BIG-bench's own defaults, with the choices in a drawn order
    assert example.input.startswith("\nQ: 1 + 1\n  choice: ") and example.input.endswith("\nA: ")
    assert sorted(example.input.split("\n")[2:5]) == ["  choice: 1", "  choice: 2", "  choice: 7"]
    assert example[1:] == ("2", ["1", "2", "7"])


def test_the_order_of_choices_is_drawn(tmp_path):
    rows, forms, _ = find_task({"bigbench/a": mosaic(3)}, "a")()
    prompt = BigBenchPrompt("own", {"": Form()})
    orders = {prompt.render(rows[0], seed=3, index=index).input for index in range(60)}
    assert len(orders) == 6  # of three choices
    assert prompt.render(rows[0], seed=3, index=5) == prompt.render(rows[0], seed=3, index=5)
    assert prompt.render(rows[0], seed=3, index=5).choices == ["1", "2", "7"]


def test_examples_that_stand_twice_count_once(tmp_path):
    content = task_json()
    content["examples"] += content["examples"][:2]
    assert len(read_task(put(tmp_path, "task.json", content))[0]) == 3


def test_answers_that_are_written(tmp_path):
    content = {
        "examples": [{"input": "Capital of France?", "target": ["Paris", " paris "]}, {"input": "Of Spain?", "target": "Madrid"}],
        "metrics": ["exact_str_match"],
    }
    rows, _, metric = read_task(put(tmp_path, "task.json", content))
    assert metric == "exact_str_match" and rows[0]["choices"] is None
    assert [row["answers"] for row in rows] == [["Paris", " paris "], ["Madrid"]]
    both = task_json(preferred_score="exact_str_match")
    both["examples"][0]["target_scores"]["two"] = 1
    rows, _, metric = read_task(put(tmp_path, "both.json", both))
    assert metric == "exact_str_match" and rows[0] == {"input": "1 + 1", "choices": None, "worth": None, "answers": ["2", "two"]}


@pytest.mark.parametrize(
    "text, stop, answer",
    [
        ("Paris. It", None, "Paris"),
        ("\n. Paris\nIt", None, "Paris"),
        ("...", None, ""),
        ("a. b## c", "##", "a. b"),
        (" a. b ", "##", "a. b"),
        ("", None, ""),
    ],
)
def test_where_an_answer_stops(text, stop, answer):
    assert cut_at_stop(text, stop) == answer


def test_the_three_forms_are_one(tmp_path):
    put(tmp_path, "bigbench/a/task.json", task_json(example_input_prefix="", example_output_prefix="", append_choices_to_input=False))
    rows = mosaic(3)
    put(tmp_path, "bigbench/b.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    hub = [
        {
            "idx": i,
            "inputs": row["query"],
            "targets": [row["choices"][1]],
            "multiple_choice_targets": row["choices"],
            "multiple_choice_scores": [0, 1, 0],
        }
        for i, row in enumerate(rows)
    ]
    put(tmp_path, "bigbench/c/validation.json", hub)
    written = [
        {"inputs": row["query"], "targets": [row["choices"][1]], "multiple_choice_targets": [], "multiple_choice_scores": []}
        for row in rows
    ]
    found = [find_task(tmp_path, name)() for name in "abc"] + [find_task({"bigbench/d": {"validation": written}}, "d")()]
    prompts = [BigBenchPrompt("own", forms) for _, forms, _ in found]
    examples = [[prompt.render(row, index=i) for i, row in enumerate(rows)] for prompt, (rows, _, _) in zip(prompts, found)]
    assert examples[0] == examples[1] == examples[2]
    split = {"train": hub[:2], "validation": hub[2:]}
    assert (
        len(find_task({"bigbench/e": split}, "e")()[0]) == 3 and len(find_task({"bigbench/e": split | {"default": hub[:1]}}, "e")()[0]) == 1
    )
    assert [example[:2] for example in examples[3]] == [example[:2] for example in examples[0]]
    assert [metric.name for _, _, metric in found] == ["multiple_choice_grade"] * 3 + ["exact_str_match"]


def test_parts_of_a_task_are_taken_together(tmp_path):
    put(tmp_path, "bigbench/a/two/task.json", task_json(task_prefix="Two. "))
    put(tmp_path, "bigbench/a/one/task.json", task_json(task_prefix="One. "))
    rows, forms, metric = find_task(tmp_path, "a")()
    assert [row["subtask"] for row in rows] == ["one"] * 3 + ["two"] * 3 and metric.name == "multiple_choice_grade"
    prompt = BigBenchPrompt("own", forms)
    assert [prompt.render(row).input[:5] for row in rows] == ["One. "] * 3 + ["Two. "] * 3


def test_public_data(public_data, tmp_path):
    folder = tmp_path / "bigbench"
    (folder / "winowhy").mkdir(parents=True)
    (folder / "winowhy" / "task.json").symlink_to(public_data / "data/bigbench-winowhy/task.json")
    for name in ("conceptual_combinations", "novel_concepts", "logical_deduction"):
        (folder / f"{name}.jsonl").symlink_to(public_data / f"data/bigbench-mosaic-a/{name}.jsonl")
    suite = t0.suite("bigbench-t0", tmp_path)
    assert [(task.name, len(task.rows)) for task in suite] == [
        ("bigbench/conceptual_combinations", 103), ("bigbench/logical_deduction", 1500), ("bigbench/novel_concepts", 32), ("bigbench/winowhy", 2862)
    ]  # fmt: skip
    assert suite.all_cells == len(T0_TASKS) == 14 and len(suite.missing) == 10
    example = suite[3].render("the authors' prompt", 0)
    assert example.input.startswith(
        "Please answer the following questions about which words certain pronouns refer to.\n\nThe city councilmen"
    )
    assert example.input.endswith("\nThe above reasoning is ") and example[1:] == ("correct", ["correct", "incorrect"])
    report = t0.evaluate(Guess(), suite, progress=False)
    assert [(cell["metric"], cell["status"], cell["n"]) for cell in report.cells] == [
        ("multiple_choice_grade", "ok", len(task.rows)) for task in suite
    ]
    firsts = [row["worth"][row["choices"][0]] for row in suite[3].rows]
    assert report.cells[3]["value"] == sum(firsts) / len(firsts)


def test_grades_between_none_and_all(tmp_path):
    content = task_json()
    for example, scores in zip(content["examples"], ({"a": 0.25, "b": 1}, {"a": 1, "b": 1}, {"a": 0, "b": 1})):
        example["target_scores"] = scores
    put(tmp_path, "bigbench/winowhy/task.json", content)
    report = t0.evaluate(Guess(), t0.suite("bigbench-t0", tmp_path), progress=False)
    assert [cell["value"] for cell in report.cells] == [(0.25 + 1 + 0) / 3]


class Writer:
    """Answers in turn."""

    tokenizer = t0.mini.tokenizer()

    def __init__(self, *answers):
        self.answers = iter(answers)

    def rank(self, inputs, choices, **options):
        raise AssertionError("answers are written")

    def generate(self, inputs, **options):
        return [next(self.answers) for _ in inputs]


@pytest.mark.parametrize("stop, right", [(None, [1, 1, 0]), ("##", [0, 1, 1])])
def test_written_answers_are_cut_and_compared(stop, right, tmp_path):
    examples = [{"input": f"question {i}", "target": ["tea", "milk"]} for i in range(3)]
    put(tmp_path, "bigbench/winowhy/task.json", {"examples": examples, "preferred_score": "exact_str_match", "stop_string": stop})
    report = t0.evaluate(Writer("milk. Or", " tea", "tea## no"), t0.suite("bigbench-t0", tmp_path), progress=False)
    assert [cell["metric"] for cell in report.cells] == ["exact_str_match"] and report.correct[0].tolist() == right


def test_missing_tasks_are_told_with_their_source(tmp_path, caplog):
    put(tmp_path, "bigbench/winowhy/task.json", task_json())
    suite = t0.suite("bigbench-t0", tmp_path)
    assert repr(suite) == "Suite('bigbench-t0', 1 of 14 cells, 1 tasks)" and ("bigbench", "strategyqa", "task.json") in suite.missing
    assert (
        "\n  bigbench/known_unknowns/task.json: https://github.com/google/BIG-bench, bigbench/benchmark_tasks/known_unknowns\n"
        in caplog.text
    )


@pytest.mark.parity
def test_scores_are_those_of_transformers(public_data, tmp_path):
    """Every example of novel_concepts, and winowhy's first: the prompt stated again here, scored by transformers one choice at a time."""
    from test_public_rows import Oracle

    tokenizer = t0.Tokenizer.from_file(public_data / "data/t5-spiece/spiece.model")
    config = t0.Config(vocab_size=32128, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    model = t0.Model.init(config, tokenizer=tokenizer, seed=5)
    model.save(tmp_path / "model")
    oracle = Oracle(tmp_path / "model")
    lines = (public_data / "data/bigbench-mosaic-a/novel_concepts.jsonl").read_text(encoding="utf-8").splitlines()
    concepts = [(row["query"], row["choices"], row["choices"][row["gold"]]) for row in map(json.loads, lines)]
    content = json.loads((public_data / "data/bigbench-winowhy/task.json").read_text(encoding="utf-8"))
    head, before, after = content["task_prefix"], content["example_input_prefix"], content["example_output_prefix"]
    why = [
        (head + before + row["input"] + after, list(row["target_scores"]), max(row["target_scores"], key=row["target_scores"].get))
        for row in content["examples"][:20]
    ]
    put(tmp_path, "bigbench/novel_concepts.jsonl", "\n".join(lines))
    put(tmp_path, "bigbench/winowhy/task.json", content)
    report = t0.evaluate(model, t0.suite("bigbench-t0", tmp_path), limit=32, progress=False)
    for expected, correct in zip((concepts, why), report.correct):
        for (text, choices, target), right in zip(expected, correct):
            scores = oracle.scores(text, choices)
            np.testing.assert_allclose(model.rank(text, choices).scores, scores, rtol=0, atol=1e-4)
            if np.diff(np.sort(scores))[-1] > 1e-3:
                assert right == (choices[int(np.argmax(scores))] == target)
