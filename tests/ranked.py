"""What test_ranks.py runs under mpiexec: one training, or the part of one that ends in an error.

    mpiexec -n 3 python ranked.py OUT '{"lots": 8, "batch_size": 16, ...}' [FAULT]

prints "RANK LOSS SHA-256 of the weights" for each rank. FAULT: what rank 1 meets at step 3: "error" (an exception), "kill" (SIGKILL), "seed"
(another plan, before the first step), "slow" (nothing; steps take a tenth of a second)."""

import hashlib
import json
import os
import signal
import sys
import time

import t0native as t0
from t0native.training.lottrainer import LotTrainer
from t0native.training.ranks import started_ranks


def main(out, keywords, fault=None):
    rank = started_ranks().rank
    options = {"steps": 6, "progress": False, "log_every": 2} | keywords
    if fault == "seed" and rank == 1:
        options["seed"] = 99
    if fault in ("error", "kill", "slow"):
        LotTrainer.gradients = faulty(LotTrainer.gradients, fault, rank)
    if options.get("validate"):
        task = t0.mini.held_out_tasks()[0]
        options["validate"] = [t0.Task("few", task.rows[:12], list(task.prompts.values())[:2])]
    model = t0.mini.new_model(0)
    run = t0.train(model, t0.mini.training_tasks(["values"]), out=out, **options)
    digest = hashlib.sha256(b"".join(model.core.tensor(name).tobytes() for name, _ in model.core.tensors()))
    sys.stdout.write(f"{rank} {run.losses[-1]} {digest.hexdigest()}\n")  # in one piece: several write to one pipe
    sys.stdout.flush()


def faulty(gradients, fault, rank):
    def call(self, sources, targets, step):
        if fault == "slow":
            time.sleep(0.1)
        elif rank == 1 and step == 3:
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("rank 1 has a fault")
        return gradients(self, sources, targets, step)

    return call


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), *sys.argv[3:])
