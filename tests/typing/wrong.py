"""Mistakes as they are made; type checkers find each line that is marked, and no other."""

import t0native as t0

model = t0.Modle.mini()  # error: a misspelt name
model = t0.Model.mini()
task = t0.mini.held_out_tasks()[0]
run = t0.train(model, task, steps=2)
report = t0.evaluate(model, task)

model.genrate("Is it tea?")  # error: a misspelt method
model.generate("Is it tea?", max_new_token=8)  # error: a misspelt option
model.generate("Is it tea?", max_new_tokens="8")  # error: an option of another kind
model.generate(5)  # error: neither a text nor ids
model.rank("Is it tea?")  # error: no choices
model.rank("Is it tea?", 2)  # error: a number for a list
model.rank("Is it tea?", ["Yes", "No"], batch_size=8)  # error: a keyword that is not there
model.rank(["Is it tea?"], [["Yes", "No"]]).choice  # error: of a list
model.rank("Is it tea?", ["Yes", "No"])[0]  # error: of a single one
model.rank("Is it tea?", ["Yes", "No"]).scors  # error: a misspelt attribute
model.score("a", "b") + "c"  # error: a float and a text
model.encode(["a"], pooling="max")  # error: no such pooling
model.encode(["a"]).shape  # error: a list of arrays
model.to("float16")  # error: no such number type
model.save()  # error: no folder
model.stream("Is it tea?", num_beams=4)  # error: beams have no stream
t0.Model.from_pretrained("folder", torch_dtype="bfloat16")  # error: another library's keyword
t0.Model.from_pretrained("folder", dtype="int4")  # error: no such number type
t0.Model.init("small")  # error: a name for a Config
t0.Config.t5_v1_1("smal")  # error: no such size
t0.train(model, task, steps="many")  # error: a text for a number
t0.train(model, task, steps=2, num_epochs=3.5, lr=1e-3)  # error: keywords that are not there
t0.train(model, task, steps=2, optimizer="adam")  # error: no such optimiser
t0.train(model, "rte.jsonl", steps=2)  # error: a name for tasks
t0.loss_curv(run)  # error: a misspelt name
t0.loss_curve(run, txt=True)  # error: a misspelt keyword
run.loss_curve  # error: an attribute that is not there
run.losses.mean()  # error: a list has none
t0.evaluate(task, model)  # error: the wrong way round
t0.evaluate(model, task, limit="10")  # error: a text for a number
report.summary.median  # error: a list has none
report.plott()  # error: a misspelt method
t0.Task("rte", "rte.jsonl", task.prompts)  # error: a name for rows
t0.Task("rte", [{"text": "a"}], "{{ text }} ||| yes")  # error: a text for a prompt
t0.Task("rte", [{"text": "a"}])  # error: no prompts
t0.Prompt("who", jinja=5)  # error: a number for a text
t0.Prompt("who", "a ||| b").render()  # error: no example
t0.Prompt("who", "a ||| b").render({"a": 1}).input  # error: None where the row is dropped
t0.Tokenizer.from_pretrained("t5-base")  # error: another library's method
t0.mini.tokenizer().encode(["a", "b"])  # error: a list for a text
t0.read_jsonl(["a.jsonl"])  # error: a list for a name
t0.metrics.find_metrc("accuracy")  # error: a misspelt name
t0.set_num_threads("2")  # error: a text for a number
t0.Classifier(model)  # error: no labels
t0.Classifier(model, ["a", "b"], combine="max")  # error: no such combination
t0.Classifier(model, ["a", "b"]).calibrate(method="platt")  # error: no calibration without labels
t0.Classifier(model, ["a", "b"]).predict_probab(["a"])  # error: a misspelt method
t0.Classifier("folder", ["a", "b"])  # error: a name for a model
