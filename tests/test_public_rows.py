"""Public rows and public prompts through `t0native evaluate`, against an independent loop with transformers."""

import json

import numpy as np
import pytest

import t0native as t0
from t0native.cli.main import main
from t0native.data.rows import read_rows

TASKS = {  # dataset -> (file below data/, rows, prompts of promptsource 0.2.3)
    "super_glue/copa": ("superglue-val/COPA.val.jsonl", 100, 12),
    "super_glue/wsc.fixed": ("superglue-val/WSC.val.jsonl", 104, 10),
    "super_glue/wic": ("superglue-val/WiC.val.jsonl", 638, 10),
    "piqa": ("piqa-val/valid.jsonl", 1838, 11),
}
ROWS, GENERATED = 50, 5


@pytest.fixture(scope="module")
def model_folder(public_data, tmp_path_factory):
    """A random T5 1.1 with T5's own vocabulary, saved in the hub's layout."""
    tokenizer = t0.Tokenizer.from_file(public_data / "data/t5-spiece/spiece.model")
    config = t0.Config(vocab_size=32128, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    folder = tmp_path_factory.mktemp("public") / "random-t5"
    t0.Model.init(config, tokenizer=tokenizer, seed=3).save(folder)
    return folder


@pytest.fixture(scope="module")
def report(model_folder, public_data, promptsource_folder):
    """What the command line reports on all four, 50 rows each."""
    arguments = ["evaluate", "--model", str(model_folder), "--limit", str(ROWS), "--out", str(model_folder.parent / "run")]
    for dataset, (file, _, _) in TASKS.items():
        arguments += ["--task", f"{dataset}={public_data / 'data' / file}"]
    assert main(arguments) == 0
    return t0.Report.load(model_folder.parent / "run")


def test_the_report_has_every_prompt_and_row(report, public_data):
    for dataset, (file, n_rows, n_prompts) in TASKS.items():
        assert len(read_rows(public_data / "data" / file, dataset)) == n_rows
        cells = [cell for cell in report.cells if cell["task"] == dataset]
        assert len(cells) == n_prompts and {cell["status"] for cell in cells} == {"ok"}
        assert all(cell["n"] + cell["dropped"] == ROWS for cell in cells)
        if dataset != "super_glue/copa":  # half of COPA's prompts are for causes, half for effects
            assert {cell["n"] for cell in cells} == {ROWS}
    assert [entry["chance"] for entry in report.summary] == [0.5] * 4


@pytest.mark.slow
def test_whole_sets(model_folder, public_data, promptsource_folder, tmp_path):
    arguments = ["evaluate", "--model", str(model_folder), "--out", str(tmp_path)]
    for dataset, (file, _, _) in TASKS.items():
        arguments += ["--task", f"{dataset}={public_data / 'data' / file}"]
    assert main(arguments) == 0
    for cell in t0.Report.load(tmp_path).cells:
        assert cell["n"] + cell["dropped"] == TASKS[cell["task"]][1] and (cell["dropped"] == 0 or cell["task"] == "super_glue/copa")


class Oracle:
    """transformers' T5 and the sentencepiece library, one example at a time, float32."""

    def __init__(self, folder):
        import sentencepiece
        import torch
        from transformers import T5ForConditionalGeneration

        torch.set_num_threads(1)
        self.torch = torch
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
        self.model = T5ForConditionalGeneration.from_pretrained(folder).eval()

    def source(self, text):
        return self.torch.tensor([self.pieces.encode(text)[:1024]])

    def scores(self, text, choices):
        torch = self.torch
        found = []
        with torch.no_grad():
            states = self.model.encoder(input_ids=self.source(text))
            for choice in choices:
                target = torch.tensor([self.pieces.encode(choice) + [1]])
                likelihoods = self.model(encoder_outputs=states, labels=target).logits.double().log_softmax(-1)
                found.append(likelihoods.gather(-1, target[..., None]).sum().item())
        return found

    def answer(self, text, n_tokens):
        """Ids of the greedy answer, without the start and the end."""
        found = self.model.generate(self.source(text), max_new_tokens=n_tokens, do_sample=False)[0].tolist()[1:]
        return found[: found.index(1)] if 1 in found else found


@pytest.mark.parity
@pytest.mark.parametrize("dataset", TASKS)
def test_scores_are_those_of_transformers(dataset, report, model_folder, public_data, promptsource_folder):
    oracle, model = Oracle(model_folder), t0.Model.from_pretrained(model_folder)
    rows = read_rows(public_data / "data" / TASKS[dataset][0], dataset)[:ROWS]
    prompts = t0.PromptCollection.load(promptsource_folder)[dataset]
    cells = {cell["prompt"]: correct for cell, correct in zip(report.cells, report.correct) if cell["task"] == dataset}
    compared = 0
    for name, prompt in prompts.items():
        for index, row in enumerate(rows):
            example = prompt.render(row, seed=0, index=index)
            if example is None:
                assert np.isnan(cells[name][index])
                continue
            if example.choices is None:
                if index < GENERATED:
                    text = model.generate(example.input, max_new_tokens=8)
                    assert text == model.tokenizer.decode(oracle.answer(example.input, 8))
                    assert cells[name][index] == (text == example.target)
                continue
            expected = oracle.scores(example.input, example.choices)
            scores = model.rank(example.input, example.choices).scores
            np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)
            if abs(expected[0] - expected[1]) > 1e-3:
                assert cells[name][index] == (example.choices[int(np.argmax(expected))] == example.target)
                compared += 1
    assert compared >= 4 * ROWS


def test_json_on_stdout_is_the_report(model_folder, public_data, promptsource_folder, capsys):
    file = public_data / "data" / TASKS["super_glue/copa"][0]
    assert main(["evaluate", "--model", str(model_folder), "--task", f"super_glue/copa={file}", "--limit", "20", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"cells", "summary", "about"}
