# pyright: strict
"""What scripts do with the package. Type checkers find nothing here, the strict ones either, and types are those that are written."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import t0native as t0
from t0native.files import FileSet
from t0native.promptcheck import check_collection
from t0native.promptsource import DatasetTemplates

# ---- prompts and rows ----------------------------------------------------------------------------------------------------

rows = t0.read_rows("rows.csv", types={"label": "int"})
lines = t0.read_jsonl(Path("rows.jsonl"))
assert_type(lines, list[dict[str, Any]])
assert_type(len(rows), int)
first = [row["text"] for row in rows][0]
some = t0.read_rows("rows.csv", delimiter=";", encoding="cp1252")[:100]
assert_type(some[0]["text"], Any)
t0.read_rows(some)
t0.read_rows({"text": ["a"]}, types={"text": str} if first else None)
t0.Task("some", some, {})
p3 = t0.PromptCollection.load("templates")
prompt = p3["super_glue", "rte"]["must be true"]
assert_type(prompt, t0.Prompt)
assert_type(p3["super_glue/rte"].full_name, str)
own = t0.Prompt("sentiment", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
assert_type(own.answer_choices, str | None)
example = own.render({"text": "I loved it.", "label": 1}, seed=3, index=7)
if example is not None:
    assert_type(example.input, str)
    assert_type(example.choices, list[str] | None)
assert_type(own.apply({"text": "I loved it.", "label": 1}), list[str])
for key in p3:
    p3.path(key)
public = DatasetTemplates("super_glue", "rte")
assert_type(public.all_template_names, list[str])
assert_type(public["must be true"].apply({"premise": "a"}), list[str])
problems = [str(problem) for problem in check_collection(p3)]

# ---- tasks ---------------------------------------------------------------------------------------------------------------

task = t0.Task("rte", rows, p3["super_glue", "rte"], metric="accuracy", split="validation")
columns = t0.Task("own", {"text": ["a", "b"], "label": [0, 1]}, [own, prompt])
spans = t0.Task("book", lines, t0.SpanCorruption("text"))
every = t0.Task("rte", lines, "*", dataset="super_glue/rte", metric=["accuracy", "f1"])
mixture = t0.Mixture([task, spans, t0.Mixture(columns)], rates={"rte": 3.0}, maximum=1000)
assert_type(mixture.components[0].rate, float)
assert_type(t0.few_shot(task, 4), t0.Task)

# ---- models --------------------------------------------------------------------------------------------------------------

model = t0.Model.from_pretrained("bigscience/T0_3B", dtype="int8", threads=2, tokenizer=False)
small = t0.Model.init(t0.Config.t5_v1_1("small", dropout_rate=0.0), tokenizer=t0.Tokenizer.from_file("spiece.model"), seed=1)
ids = np.array([5, 6, 7])
texts = ["I loved it.", "I did not."]


def judge(some: t0.Model, many: list[str], choices: list[str]) -> list[str]:
    return [ranking.choice for ranking in some.rank(many, [choices] * len(many), batch_tokens=4096)]


one = model.rank("Review: I loved it. Good or bad?", ["good", "bad"], truncate="start", token_scores=True)
assert_type(one, "t0.Ranking[str]")
assert_type(one.choice, str)
assert_type(one.scores, NDArray[np.float64])
assert_type(model.rank(texts, [["a", "b"], ["c"]]), "list[t0.Ranking[str]]")
assert_type(model.rank((text for text in texts), ["good", "bad"]), "list[t0.Ranking[str]]")
assert_type(model.rank([5, 6], [[7], [8, 9]]).choice, list[int])
model.rank(ids, ["yes", "no"])
model.rank([ids, ids], [["yes"], ["no"]])
assert_type(model.score("a", "b"), float)
assert_type(model.score(texts, texts, length_normalize=True), NDArray[np.float64])
assert_type(model.score("a", "b", token_scores=True), tuple[float, NDArray[np.float32]])
assert_type(model.score(texts, texts, token_scores=True), tuple[NDArray[np.float64], list[NDArray[np.float32]]])
assert_type(model.generate("Is the earth flat?", max_new_tokens=8, num_beams=1), str)
assert_type(model.generate(texts, do_sample=True, top_p=0.9, seed=3), list[str])
assert_type(model.generate("a", num_beams=4, num_return_sequences=4), list[str])
assert_type(model.generate(texts, num_beams=4, num_return_sequences=4), list[list[str]])
assert_type(model.generate("a", output_scores=True).score, float)
assert_type(model.generate(texts, output_scores=True, temperature=None)[0].ids, NDArray[np.int32])
assert_type("".join(model.stream("a", stop_strings=["\n"])), str)
assert_type(model.encode("a"), NDArray[np.float32])
assert_type(model.encode(texts), list[NDArray[np.float32]])
assert_type(model.encode(texts, pooling="mean"), NDArray[np.float32])
assert_type(model.logits(ids, [0, 5]), NDArray[np.float32])
assert_type(model.config.d_model, int)
if model.tokenizer is not None:
    assert_type(model.tokenizer.encode("text"), list[int])
    assert_type(model.tokenizer.encode_batch(texts, threads=2)[0], NDArray[np.int32])
    assert_type(model.tokenizer.explain("a\nb").lost, list[str])
model.to("bfloat16").save(Path("folder"))
with FileSet("folder") as together:
    model.add_to(together)

# ---- classification ------------------------------------------------------------------------------------------------------

classifier = t0.Classifier(model, {0: "bad", 1: ["good", "fine"]}, "sentiment", combine="median", threshold=0.6, tune="temperature")
assert_type(classifier.fit(["a text"], [1]), t0.Classifier)
assert_type(classifier.calibrate(["a text"], method="batch"), t0.Classifier)
assert_type(t0.Classifier(model, ["sports", "politics"]).predict_proba(["a text"]), NDArray[np.float64])
assert_type(classifier.score(["a text"], [1]), float)
for answer in classifier.classify(["a text"]):
    assert_type(answer, dict[str, Any])
assert_type(classifier.explain("a text").votes[0].scores, Any)
assert_type(classifier.report(["a text"], [1]).statistics(), list[dict[str, Any]])
assert_type(classifier.get_params(), dict[str, Any])
assert_type(classifier.set_params(combine="vote"), t0.Classifier)
assert_type(model.rerank("tea", ["a text"], words=("yes", "no")), t0.Reranking)
assert_type(model.rerank(["tea"], [["a text"]]), list[t0.Reranking])
assert_type(model.rerank("tea", ["a text"]).scores, NDArray[np.float64])
assert_type(t0.mapper(classifier)({"text": ["a text"]}), dict[str, list[Any]])
assert_type(t0.Reranker(model, text="body").text, str)

# ---- training and evaluation ---------------------------------------------------------------------------------------------

run = t0.train(small, mixture, steps=1000, out="run/", resume="auto", validate=[task], select=True, schedule="linear")
t0.train(small, [task, columns], steps=10, schedule=lambda step, steps: 1 - step / steps, stop=lambda report, log: None)
assert_type(run.losses, list[float])
assert_type(run.best, tuple[int, float] | None)
report = t0.evaluate(model, [task, columns], out="results", generation={"num_beams": 4})
for cell in report.cells:
    value: float | None = cell["value"]
assert_type(t0.evaluate(model, "t0", data="data", prompts=p3, compat="t0-2021"), t0.Report)
assert_type(t0.suite("mini")[0], t0.Task)
assert_type(report.save("report.json"), Path)
assert_type(t0.Report.merge([report, t0.Report.load("report.json")]), t0.Report)
assert_type(t0.loss_curve(run, text=True), str)
assert_type(t0.figures.figure4([report], published="T0 11B", text=True), str)
report.plot("picture.png")
t0.set_num_threads(2)
assert_type(t0.kernels.available(), list[str])
assert_type(t0.metrics.find_metric("squad_f1").by_choices, bool)
assert_type(t0.published("T0 11B"), list[dict[str, Any]])
assert_type(t0.__version__, str)


class Guess:
    """What evaluate takes besides models."""

    def rank(self, inputs: list[str], choices: list[list[str]], truncate: bool = False, progress: object = None) -> list[Any]:
        return [one for _ in inputs]


t0.evaluate(Guess(), task, progress=False)
try:
    t0.Model.mini("best")
except t0.ConfigError as error:
    print(error, problems, first)
except t0.TemplateError as wrong:
    assert_type(wrong.line, int)
