"""The model in lm-evaluation-harness: end to end on made rows, against our own evaluation and against the harness's own backend."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import needed
from tokenizer_kinds import code_folder

import t0native as t0
from t0native.cli.main import main
from t0native.frameworks import harness
from t0native.frameworks.pairs import score_pairs_greedily

ROWS = 30
PROMPTS = {"inference": "does it follow", "pronouns": "stands for"}
HEAD = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
"""
CHOICES = (
    HEAD + "output_type: multiple_choice\ndoc_to_text: question\ndoc_to_target: gold\ndoc_to_choice: choices\nmetric_list:\n- metric: acc\n"
)
GENERATE = (
    HEAD
    + """output_type: generate_until
doc_to_text: question
doc_to_target: answer
generation_kwargs:
  until: ["\\n"]
  max_gen_toks: 8
metric_list:
- metric: exact_match
  ignore_case: true
"""
)
ROLLING = HEAD + "output_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: question\nmetric_list:\n- metric: byte_perplexity\n"


def random_pairs(model, n, rng):
    """Some of them greedy: what the model generates, or its beginning, or that with another end."""
    texts = [f"Anna keeps a {pet}. Ben keeps a dog. Who keeps the {pet}?" for pet in ("cat", "cow", "goat", "fish")]
    inputs = [np.array(model.tokenizer.encode(text), np.int32) for text in texts]
    said = [np.array(model.tokenizer.encode(text) + [1], np.int32) for text in model.generate(texts)]
    for i in range(n):
        x, y = inputs[i % 4], said[i % 4]
        if i % 3 == 1:
            y = y[:-1] if len(y) > 1 else y
        if i % 3 == 2:
            y = np.concatenate([y[:-1], rng.integers(2, 2000, rng.integers(1, 4))]).astype(np.int32)
        yield x, y


def test_greedy_is_the_first_greatest_logit_of_every_token(monkeypatch):
    model = t0.Model.mini("one prompt")
    pairs = list(random_pairs(model, 60, np.random.default_rng(0)))
    found = score_pairs_greedily(model, pairs)
    expected = []
    for x, y in pairs:
        logits = model.logits(x, np.concatenate([[model.config.decoder_start_token_id], y[:-1]]))
        expected.append(bool((logits.argmax(axis=1) == y).all()))
    assert [greedy for _, greedy in found] == expected and 10 < sum(expected) < 50
    assert [score for score, _ in found] == model.score(*zip(*pairs)).tolist()
    monkeypatch.setattr("t0native.frameworks.pairs._known", lambda pairs, *_: [None] * len(pairs))
    monkeypatch.setattr("t0native.frameworks.pairs.LOGITS_AT_ONCE", 10_000)
    assert score_pairs_greedily(model, pairs) == found  # by the logits alone, a few at once


def test_without_the_harness_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(harness, "_LM", None)
    assert main(["lm-eval", "--tasks", "copa", "--model_args", "pretrained=x"]) == 2
    assert capsys.readouterr().err == "t0native: error: t0native.lm_eval needs the harness: pip install lm-eval\n"
    with pytest.raises(ImportError, match="pip install lm-eval"):
        harness.HarnessModel(t0.Model.mini())


def test_every_word_behind_the_verb_is_the_harness_s_own(monkeypatch):
    words = []
    monkeypatch.setattr(harness, "run_harness", words.extend)
    assert main(["lm-eval", "--tasks", "copa", "-q", "--model", "hf", "--", "x"]) == 0
    assert words == ["--tasks", "copa", "-q", "--model", "hf", "--", "x"]
    with pytest.raises(SystemExit):
        main(["lm-eval", "--help"])


# ---- with the harness ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lm_eval():
    return needed("lm_eval", "pip install lm-eval")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """A folder of four tasks: two of choices, one to generate, one of rolling log-likelihoods."""
    folder = tmp_path_factory.mktemp("tasks")
    held_out = {task.name: task for task in t0.mini.held_out_tasks()}
    for name, prompt in PROMPTS.items():
        examples = held_out[name].prompts[prompt].render_all(held_out[name].rows[:ROWS])
        rows = [{"question": e.input, "choices": e.choices, "gold": e.choices.index(e.target), "answer": e.target} for e in examples]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text, of in (
        ("made_inference", CHOICES, "inference"),
        ("made_pronouns", CHOICES, "pronouns"),
        ("made_answers", GENERATE, "pronouns"),
        ("made_texts", ROLLING, "inference"),
    ):
        (folder / f"{name}.yaml").write_text(text.format(name=name, file=folder / f"{of}.jsonl"))
    return folder


@pytest.fixture(scope="module")
def run(lm_eval, tasks, tmp_path_factory):
    """run(model): {task: its samples, in the order of the rows}."""
    os.environ["HF_DATASETS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    from lm_eval.tasks import TaskManager

    def of(model):
        manager = TaskManager(include_path=str(tasks), include_defaults=False)
        names = sorted(path.stem for path in tasks.glob("*.yaml"))
        found = lm_eval.simple_evaluate(model, tasks=names, task_manager=manager, bootstrap_iters=0)
        return {name: sorted(rows, key=lambda row: row["doc_id"]) for name, rows in found["samples"].items()}

    return of


@pytest.fixture(scope="module")
def by_t0(run):
    return run(harness.HarnessModel(t0.Model.mini()))


def responses(samples, task):
    return [row["resps"] for row in samples[task]]


@pytest.mark.filterwarnings("ignore")
def test_accuracy_is_ours_on_every_row(by_t0):
    held_out, model = {task.name: task for task in t0.mini.held_out_tasks()}, t0.Model.mini()
    for name, prompt in PROMPTS.items():
        task = t0.Task(name, held_out[name].rows[:ROWS], {prompt: held_out[name].prompts[prompt]})
        ours = t0.evaluate(model, task, progress=False).correct[0]
        assert [row["acc"] for row in by_t0[f"made_{name}"]] == ours.tolist()
        for row in by_t0[f"made_{name}"]:
            ranking = model.rank(row["doc"]["question"], row["doc"]["choices"])
            assert [one[0][0] for one in row["resps"]] == ranking.scores.tolist()
    said = [row["resps"][0][0] for row in by_t0["made_answers"]]
    assert said == model.generate([row["doc"]["question"] for row in by_t0["made_answers"]], max_new_tokens=8)
    ones = [model.score([1], row["doc"]["question"]) for row in by_t0["made_texts"]]
    assert [row["resps"][0][0] for row in by_t0["made_texts"]] == ones


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_by_the_backend_s_rule_every_answer_is_the_backend_s(run, by_t0, tmp_path):
    import torch
    from lm_eval.models.huggingface import HFLM

    t0.Model.mini().save(tmp_path)
    own = HFLM(str(tmp_path), backend="seq2seq", dtype="float32", device="cpu", batch_size=8)
    head = torch.from_numpy(t0.Model.mini().core.tensor("lm_head.weight").copy())
    own.model.lm_head.weight = torch.nn.Parameter(head)  # that the backend has tied to the embedding (docs/how-to/lm-eval.md)
    theirs = run(own)
    ours = run(harness.HarnessModel(t0.Model.mini(), scoring="hf", max_length=own.max_length))
    for name in ("made_inference", "made_pronouns"):
        assert [row["acc"] for row in ours[name]] == [row["acc"] for row in theirs[name]]
        for a, b in zip(responses(ours, name), responses(theirs, name)):
            assert [one[0][1] for one in a] == [one[0][1] for one in b]
            np.testing.assert_allclose([one[0][0] for one in a], [one[0][0] for one in b], atol=1e-4)
    assert responses(ours, "made_answers") == responses(theirs, "made_answers")
    rolling = [np.array([row[0][0] for row in responses(side, "made_texts")]) for side in (ours, theirs)]
    np.testing.assert_allclose(*rolling, rtol=1e-5)
    assert any(row["acc"] != other["acc"] for row, other in zip(ours["made_pronouns"], by_t0["made_pronouns"]))  # the rules differ


def test_windows_are_the_harness_s_own(lm_eval):
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    text = "Anna keeps a cat. Ben keeps a dog. Who keeps the dog? " * 4
    for length in (1, 2, 7, 10, 1000):
        model = harness.HarnessModel(t0.Model.mini(), max_length=length)
        ours = [(list(map(int, x)), list(map(int, y))) for x, y in model._windows_of(text)]
        ids = [*model.model.tokenizer.encode(text), 1]
        theirs = map(make_disjoint_window, get_rolling_token_windows(ids, prefix_token=1, max_seq_len=length, context_len=1))
        assert ours == [(list(x), list(y)) for x, y in theirs]
        assert all(a[1] != b[1] for a, b in pairwise(ours)) or length < 3


def test_spaces_and_gaps(lm_eval):
    """T5's SentencePiece drops the space that the harness puts before a continuation; an empty context is the end token."""

    def ask(model, *pairs):
        return model.loglikelihood([type("Instance", (), {"args": pair}) for pair in pairs])

    by_t0, by_hf = (harness.HarnessModel(t0.Model.mini(), scoring=rule) for rule in ("t0", "hf"))
    for model in (by_t0, by_hf):
        one, other, third = ask(model, ("Who?", " Anna"), ("Who?", "Anna"), ("Who? ", "Anna"))
        assert one == other == third
    assert ask(by_t0, ("", "Anna"))[0][0] == t0.Model.mini().score([1], "Anna")
    assert ask(by_t0, ("Who?", ""))[0][0] == t0.Model.mini().score("Who?", [1])  # says nothing
    with pytest.raises(t0.ConfigError, match="has no tokens, and scoring='hf' adds none"):
        ask(by_hf, ("Who?", " "))


def test_a_token_that_begins_a_text_is_there(lm_eval, tmp_path):
    """As CodeT5's: the scores are Model.score's, and by the other rule the input is what the tokenizer of transformers makes."""
    needed("tokenizers", "pip install tokenizers")
    tok = t0.Tokenizer.from_folder(code_folder(tmp_path))
    sizes = {"vocab_size": tok.vocab_size, "d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 4}
    model = t0.Model.init(t0.Config(**sizes, eos_token_id=tok.eos_id, pad_token_id=tok.pad_id), tok)
    request = type("Instance", (), {"args": ("the cat", " sat")})
    for ends in (False, True):
        found = harness.HarnessModel(model, add_eos_to_inputs=ends).loglikelihood([request])[0][0]
        assert found == model.score("the cat", "sat", add_eos_to_inputs=ends)
    found = harness.HarnessModel(model, scoring="hf").loglikelihood([request])[0][0]
    assert found == model.score(tok.encode("the cat", add_eos=True), tok.encode(" sat"))


def test_answers_end_where_the_options_say(lm_eval):
    def ask(**options):
        return harness.HarnessModel(t0.Model.mini()).generate_until([type("Instance", (), {"args": (text, options)})])[0]

    text = "Anna keeps a cat. Ben keeps a dog. Who keeps the dog?"
    whole = ask(until=[], max_gen_toks=6)
    assert whole == t0.Model.mini().generate(text, max_new_tokens=6) and len(whole) > 2
    assert ask(until=whole[1]) == whole[0] and ask(until=["", whole[2]]) == whole.split(whole[2])[0]
    assert ask(until=[], temperature=0, do_sample=False, max_new_tokens=6) == whole
    assert ask(until=[], temperature=0.0, max_tokens=6) == whole
    with pytest.raises(TypeError, match="nosuch"):
        ask(nosuch=1)


def test_the_command_runs_the_harness(lm_eval, tasks, tmp_path):
    t0.Model.mini().save(tmp_path / "model")
    command = [sys.executable, "-P", "-m", "t0native", "lm-eval", "--model_args", f"pretrained={tmp_path / 'model'},dtype=int8"]
    command += ["--include_path", tasks, "--tasks", "made_inference,made_texts", "--limit", "3", "--output_path", tmp_path / "out"]
    paths = {"PYTHONPATH": os.pathsep.join([str(Path(t0.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])}
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path, env=os.environ | paths | offline)
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "out").rglob("results_*.json")
    results = json.loads(file.read_text())
    assert results["results"]["made_inference"]["acc,none"] == 1.0 and results["config"]["model"] == "t0native"
