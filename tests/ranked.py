"""What test_ranks.py and ranks_at_size.py run under mpiexec: one training, or the part of one that ends in an error.

    mpiexec -n 3 python ranked.py OUT '{"lots": 8, "batch_size": 16, ...}' [FAULT]

prints "RANK LOSS SHA-256 of the weights" for each rank. "kind": "mixed" is a
tiny model that learns the three objectives on plain text too, "wide" one of more than 4 million weights that does (csrc/t5/trainer.c). FAULT, or FAULT:RANK:STEP
(else of rank 1 at step 3): "error" (an exception), "kill" (SIGKILL), "seed" (another plan, before the first step), "slow" (nothing; steps
take a tenth of a second)."""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import t0native as t0
from t0native.training.lottrainer import LotTrainer
from t0native.training.ranks import started_ranks


def main(out, keywords, fault=""):
    rank = started_ranks().rank
    options = {"steps": 6, "progress": False, "log_every": 2} | keywords
    fault, *place = fault.split(":")
    hit, step = map(int, place or (1, 3))
    if fault == "seed" and rank == hit:
        options["seed"] = 99
    if fault in ("error", "kill", "slow"):
        LotTrainer.gradients = faulty(LotTrainer.gradients, fault, rank == hit, rank, step)
    if options.get("validate"):
        task = t0.mini.held_out_tasks()[0]
        options["validate"] = [t0.Task("few", task.rows[:12], list(task.prompts.values())[:2])]
    model, mixture = begun(options.pop("kind", "plain"))
    run = t0.train(model, mixture, out=out, **options)
    digest = hashlib.sha256(b"".join(model.core.tensor(name).tobytes() for name, _ in model.core.tensors()))
    sys.stdout.write(f"{rank} {run.losses[-1]} {digest.hexdigest()}\n")  # in one piece: several write to one pipe
    sys.stdout.flush()


def begun(kind):
    """(the model, what it is trained on)"""
    tasks = t0.mini.training_tasks(["values"])
    if kind == "plain":
        return t0.mini.new_model(0), tasks
    tokenizer = t0.Tokenizer.from_file(Path(t0.__file__).parent / "mini/spiece.model", extra_ids=20)
    d, d_kv, d_ff, heads = (256, 32, 512, 8) if kind == "wide" else (32, 8, 64, 4)
    sizes = {"d_model": d, "d_kv": d_kv, "d_ff": d_ff, "num_heads": heads, "num_layers": 2}
    config = t0.Config(vocab_size=tokenizer.vocab_size, dropout_rate=0.1, **sizes)
    texts = [{"text": f"{row['text']} and some more words, of which a few are left out here"} for row in tasks[0].rows[:40]]
    objectives = {"spans": t0.SpanCorruption("text"), "prefix": t0.PrefixLM("text"), "lm": t0.LM("text")}
    return t0.Model.init(config, tokenizer, seed=1), [*tasks, *(t0.Task(name, texts, each) for name, each in objectives.items())]


def faulty(gradients, fault, hit, rank, at):
    def call(self, sources, targets, step):
        if fault == "slow":
            time.sleep(0.1)
        elif hit and step == at:
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError(f"rank {rank} has a fault")
        return gradients(self, sources, targets, step)

    return call


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), *sys.argv[3:])
