"""The sides of inference.py: one engine each, in a process of its own, so that neither threads nor memory of one touch another.

All hold the same weights: t0native draws them once, in bfloat16, which float32 holds as they are; the folder is the hub's, and
CTranslate2's own converter makes its model from it (kept in bfloat16, brought into its number type when it is loaded).
A side is called as its users call it, and answers with what it cost: processor seconds and seconds on the wall."""

import logging
import multiprocessing
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

import t0native as t0

LAST, END = 32000, 1  # ids are drawn below; the end token
AVX2_ONLY = {  # what keeps the rivals' libraries to AVX2, where ours is
    "CT2_FORCE_CPU_ISA": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
}


class Work(NamedTuple):
    """B examples of S source tokens with C choices of T tokens each, the end token being the last."""

    name: str
    S: int
    T: int
    C: int
    B: int

    def sources(self):
        return np.random.default_rng(self.S).integers(3, LAST, (self.B, self.S)).astype(np.int32)

    def targets(self):
        found = np.random.default_rng(self.T).integers(3, LAST, (self.B, self.C, self.T)).astype(np.int32)
        found[..., -1] = END
        return found

    def __str__(self):
        return f"{self.name} S{self.S} T{self.T} C{self.C} B{self.B}" if self.C else f"S{self.S} B{self.B}"


# ---- the engines ----------------------------------------------------------------------------------------------------


class Ours:
    def __init__(self, folder, dtype, threads, kernels):
        logging.getLogger("t0native").setLevel(logging.ERROR)  # no tokenizer, answers cut at their length: as meant here
        t0.set_num_threads(threads)
        self.model = t0.Model.from_pretrained(folder, dtype, kernels=kernels)

    def rank(self, work):
        found = self.model.rank(list(work.sources()), [list(row) for row in work.targets()])
        return np.array([ranking.scores for ranking in found])

    def encode(self, work):
        self.model.encode(list(work.sources()))

    def generate(self, work, n):
        return len(self.model.generate(list(work.sources()), max_new_tokens=n, min_new_tokens=n, do_sample=False, num_beams=1))

    def facts(self):
        return {"kernels": self.model.core.kernels, "bytes": self.model.core.nbytes}


class CTranslate2:
    def __init__(self, folder, dtype, threads, kernels):
        import ctranslate2

        self.model = ctranslate2.Translator(str(folder) + "-ctranslate2", compute_type=dtype, inter_threads=1, intra_threads=threads)

    def rank(self, work):
        """One source a pair; it adds the end token itself. Pairs lie sorted, all of one length."""
        sources = [_tokens(source) for source in work.sources() for _ in range(work.C)]
        targets = [_tokens(target[:-1]) for row in work.targets() for target in row]
        found = self.model.score_batch(sources, targets, max_batch_size=32)
        return np.array([sum(result.log_probs) for result in found]).reshape(work.B, work.C)

    def generate(self, work, n):
        sources = [_tokens(source) for source in work.sources()]
        return len(self.model.translate_batch(sources, beam_size=1, max_decoding_length=n, min_decoding_length=n))

    def facts(self):
        return {"compute_type": self.model.compute_type}


class Transformers:
    """reuse: the encoder runs once an input, its output is repeated for the choices by hand; else inputs are repeated."""

    def __init__(self, folder, dtype, threads, kernels, reuse=False):
        import torch
        from transformers import T5ForConditionalGeneration
        from transformers.utils import logging

        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        self.torch, self.reuse = torch, reuse
        self.model = T5ForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()

    def rank(self, work):
        torch = self.torch
        with torch.inference_mode():
            sources = torch.from_numpy(work.sources()).long()
            labels = torch.from_numpy(work.targets().reshape(-1, work.T)).long()
            if self.reuse:
                states = self.model.encoder(input_ids=sources).last_hidden_state
                inputs = {"encoder_outputs": (states.repeat_interleave(work.C, 0),)}
            else:
                inputs = {"input_ids": sources.repeat_interleave(work.C, 0)}
            mask = torch.ones(work.B * work.C, work.S, dtype=torch.long)
            likely = self.model(**inputs, attention_mask=mask, labels=labels).logits.float().log_softmax(-1)
            return likely.gather(-1, labels[..., None])[..., 0].sum(-1).numpy().reshape(work.B, work.C)

    def encode(self, work):
        with self.torch.inference_mode():
            self.model.encoder(input_ids=self.torch.from_numpy(work.sources()).long())

    def generate(self, work, n):
        with self.torch.inference_mode():
            ids = self.torch.from_numpy(work.sources()).long()
            return len(self.model.generate(ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, num_beams=1))

    def facts(self):
        return {"dtype": str(self.model.dtype)}


def _tokens(ids):
    return [f"t{i}" for i in ids]


# ---- processes ------------------------------------------------------------------------------------------------------


def _serve(pipe, engine, arguments):
    try:
        began, before = time.perf_counter(), time.process_time()
        side = engine(**arguments)
        pipe.send(("ok", time.process_time() - before, time.perf_counter() - began, side.facts()))
        while (call := pipe.recv()) is not None:
            wall, processor = time.perf_counter(), time.process_time()
            result = getattr(side, call[0])(*call[1:])
            pipe.send(("ok", time.process_time() - processor, time.perf_counter() - wall, result))
    except Exception as error:
        pipe.send((f"{type(error).__name__}: {error}", 0.0, 0.0, None))


class Side:
    """An engine at work. close() ends its process. nbytes: about what it will hold."""

    def __init__(self, name, engine, folder, dtype, *, threads=1, kernels=None, avx2_only=False, wall=False, **more):
        self.name, self.wall = name, wall or threads > 1
        self._make = (engine, {"folder": folder, "dtype": dtype, "threads": threads, "kernels": kernels, **more})
        self._environment = AVX2_ONLY if avx2_only else {}
        self.process = None

    def start(self):
        """Loads the model: load_seconds, of the processor and on the wall."""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        before = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        self.process = context.Process(target=_serve, args=(theirs, *self._make), daemon=True)
        self.process.start()
        theirs.close()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        *self.load_seconds, self.facts = self._answer()
        return self

    def _answer(self):
        told, processor, wall, result = self.pipe.recv()
        if told != "ok":
            raise RuntimeError(f"{self.name}: {told}")
        return processor, wall, result

    def call(self, *call):
        """(seconds, result): of the processor, so that other work on the machine does not count; with `wall`, as with several
        threads, on the wall."""
        self.pipe.send(call)
        processor, wall, result = self._answer()
        return (wall if self.wall else processor), result

    def memory(self):
        """(peak, now) resident bytes of its process since it began."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        facts = dict(line.split(":", 1) for line in lines)
        return tuple(int(facts[key].split()[0]) * 1024 for key in ("VmHWM", "VmRSS"))

    def close(self):
        if self.process is not None:
            self.pipe.send(None)
            self.process.join()
            self.process = None


# ---- models ---------------------------------------------------------------------------------------------------------


def make_models(folder, size, others=()):
    """The hub's folder of random weights and, where `others` has "ct2" or "packed", CTranslate2's of it and our packed int8 file;
    made where they are not there yet."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not (folder / "model.safetensors").is_file():
        _apart(_make_hub, folder, size)
    if "packed" in others and not Path(f"{folder}-packed", "model.t0packed").is_file():
        _apart(_make_packed, folder)
    if "ct2" in others and not Path(f"{folder}-ctranslate2", "model.bin").is_file():
        _apart(_make_ctranslate2, folder)


def _apart(function, *arguments):
    """In a process of its own, so that its memory is given back."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{function.__name__} failed")


def _make_hub(folder, size):
    from t0native.base.files import FileSet
    from t0native.checkpoints.checkpoint import add_weights, config_json
    from t0native.checkpoints.tensorfiles import as_bfloat16, as_float32

    model = t0.Model.init(t0.Config.t5_v1_1(size), seed=1, dtype="bfloat16")
    config = t0.Config.from_dict(model.config.to_dict() | {"dtype": "bfloat16"})
    with FileSet(folder) as files:
        files.add("config.json", config_json(config, "bfloat16"))
        add_weights(files, config, "bfloat16", lambda name: [as_float32(as_bfloat16(model.core.tensor(name)))])


def _make_packed(folder):
    from t0native.checkpoints.checkpoint import open_checkpoint
    from t0native.checkpoints.conversion import convert

    convert(open_checkpoint(folder), f"{folder}-packed", "int8")


def _make_ctranslate2(folder):
    import torch
    from ctranslate2.converters import TransformersConverter

    vocab = t0.Config.from_file(folder / "config.json").vocab_size
    names = {f"t{i}": i for i in range(vocab)} | {"<pad>": 0, "</s>": 1, "<unk>": 2}
    names = {token: i for token, i in names.items() if token not in ("t0", "t1", "t2")}
    tokenizer = SimpleNamespace(
        get_vocab=lambda: names, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", convert_ids_to_tokens=lambda _: "<pad>"
    )

    class Converter(TransformersConverter):
        def load_tokenizer(self, *arguments, **keywords):
            return tokenizer

        def load_model(self, *arguments, **keywords):
            model = super().load_model(*arguments, **keywords)
            model.config.tie_word_embeddings = False  # transformers 5 says True here whatever the file says, and outputs would be scaled
            return model

    torch.set_num_threads(1)
    Converter(str(folder)).convert(str(folder) + "-ctranslate2", quantization="bfloat16")
