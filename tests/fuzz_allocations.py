"""Entry points whose k-th allocation fails, for k = 1, 2, ...: each ends with what it would have given, or with MemoryError.

    python tests/fuzz_allocations.py [--entries a,b] [--first 300] [--kinds core,python]

    core     posix_memalign and mmap called by the extension, by a library that is loaded before all others (made here, by `cc`)
    python   CPython's own allocators, by _testcapi.set_nomemory (left out where the interpreter has no _testcapi)
    one      the k-th allocation alone fails, as where another program frees memory a moment later
    ten      it and the nine that follow
    all      it and all that follow until the call has ended; of the core alone, for CPython 3.11 may go round for ever without any memory
             (it needs an int to unwind a `with`)

Every entry point is called in a process of its own, which is started again behind the k that ended it. After each failure the
same call must give what it gave before: nothing half made is left behind. Exit code 1 where a process crashed, another exception
came, or another result. Exceptions that CPython and NumPy raise in the place of MemoryError are counted apart. test_allocations.py runs
a slice."""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import t0native as t0
from t0native import _core
from t0native.training.batches import make_batch

try:
    import _testcapi
except ImportError:  # an interpreter without its tests
    _testcapi = None

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
static uintptr_t begin, end; /* of the code whose allocations count */
static atomic_long first = -1, last = -1, count = 0;
void fail_between(uintptr_t from, uintptr_t to, long one, long other) {
    begin = from, end = to, first = one, last = other, count = 0;
}
long counted(void) { return count; }
static int fails(void *caller) {
    if ((uintptr_t)caller < begin || (uintptr_t)caller >= end) return 0;
    const long now = ++count;
    return now >= first && now <= last;
}
int posix_memalign(void **out, size_t align, size_t size) {
    static int (*real)(void **, size_t, size_t);
    if (fails(__builtin_return_address(0))) return ENOMEM;
    if (!real) real = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    return real(out, align, size);
}
void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (fails(__builtin_return_address(0))) return errno = ENOMEM, MAP_FAILED;
    if (!real) real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    return real(at, size, protection, flags, file, offset);
}
"""
MODES = {"core": ("one", "all"), "python": ("one", "ten")}
COUNTS = {"one": 1, "ten": 10, "all": 1 << 40}
OTHERS = ("os.PathLike", "can't allocate read lock")  # CPython's TypeError of a Path, its RuntimeError of open(), called by ours
PROMPTS = """dataset: d
templates:
  a: !Template
    answer_choices: no ||| yes
    id: a
    jinja: '{{text}}? ||| {{answer_choices[label]}}'
    metadata: !TemplateMetadata {choices_in_prompt: false, languages: [en], metrics: [Accuracy], original_task: true}
    name: first
    reference: ''
"""


# ---- what is called --------------------------------------------------------------------------------------------------


def entries(folder):
    """{name: call without arguments, whose result can be compared}"""
    model = t0.mini.new_model(0)
    tokenizer, config = model.tokenizer, t0.Config(vocab_size=300, d_model=32, d_ff=32, d_kv=8, num_layers=2, num_heads=4)
    small, other = t0.Model.init(config, threads=2), t0.Model.init(config, threads=1)
    other.save(folder / "model")
    (folder / "rows.csv").write_text("a,b\n" + "".join(f"{i},text {i}\n" for i in range(30)))
    (folder / "rows.jsonl").write_text("".join(f'{{"a": {i}, "b": "text"}}\n' for i in range(30)))
    prompt = t0.Prompt(
        "p", "{{ text | upper }} {% for o in options %}{{ loop.index }} {{ o }}{% endfor %} ||| {{ answer_choices[label] }}", "no ||| yes"
    )
    (folder / "templates.yaml").write_text(PROMPTS)
    row = {"text": "is it so", "options": ["a", "b", 3], "label": 1}
    template = "{% macro m(x) %}<{{ x }}>{% endmacro %}{% set n = namespace(a=1) %}{% for i in range(4) %}{{ m(i) }}{{ missing }}{% endfor %}{{ text | title ~ n.a }}"
    compiled, source = _core.Template(template), np.arange(2, 40, dtype=np.int32)
    ends, text = np.array([0, 20, 38]), "The quick brown fox, " * 30
    trained = t0.Model.init(config, threads=1)
    trainer = _core.Trainer(trained.core, optimizer="adamw", threads=2)
    start = {name: trained.core.tensor(name).copy() for name, _ in trained.core.tensors()}

    def step():
        for name, array in start.items():
            trained.core._writable(name)[...] = array
        trainer.load_state(np.zeros_like(trainer.state()))
        loss = trainer.step(source, ends, source, ends, 1e-3, 1)
        return loss, trained.core.tensor("shared.weight").tobytes()

    def batch():
        made = make_batch(mixture, tokenizer, 0, seed=0, batch_size=4, max_source=64, max_target=16)
        return made.sources.ids.tobytes(), made.targets.ids.tobytes()

    mixture = t0.Mixture([t0.Task("a", [row] * 5, [prompt])])
    return {
        "Tokenizer.from_bytes": lambda: t0.Tokenizer.from_bytes(tokenizer.model_bytes).encode("a b"),
        "encode": lambda: tokenizer.encode(text),
        "encode_batch": lambda: tokenizer.encode_batch([text, "b", text]).ids.tobytes(),
        "decode": lambda: tokenizer.decode(tokenizer.encode(text)),
        "Template": lambda: _core.Template(template).render({"text": "a"}),
        "render": lambda: compiled.render({"text": "a text"}),
        "Prompt.apply": lambda: prompt.apply(row),
        "PromptSet.read": lambda: [p.jinja for p in t0.PromptSet.read(folder / "templates.yaml").values()],
        "Config.from_dict": lambda: t0.Config.from_dict(config.to_dict()).to_dict(),
        "check_config": lambda: _core.check_config(config.core()),
        "Model.init": lambda: t0.Model.init(config, threads=2).core.tensor("shared.weight").tobytes(),
        "from_pretrained": lambda: t0.Model.from_pretrained(folder / "model", tokenizer=False).core.tensor("shared.weight").tobytes(),
        "save": lambda: other.save(folder / "saved"),
        "rank": lambda: [r.index for r in model.rank(["is it", text], [["no", "yes"], ["a", "b", "c"]])],
        "encode_ids": lambda: small.core.encode(source, ends).tobytes(),
        "generate": lambda: model.generate([text], max_new_tokens=5),
        "beams": lambda: model.generate([text], num_beams=3, max_new_tokens=5),
        "Trainer": lambda: _core.Trainer(trained.core, optimizer="adafactor", threads=2).workspace_bytes,
        "step": step,
        "make_batch": batch,
        "read_rows": lambda: list(t0.read_rows(folder / "rows.csv")),
        "read_jsonl": lambda: list(t0.read_rows(folder / "rows.jsonl")),
    }


# ---- in a child ------------------------------------------------------------------------------------------------------


def code_of_the_core():
    """(begin, end) of the extension's machine code in this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(_core.__file__) and " r-xp " in line:
            return tuple(int(bound, 16) for bound in line.split()[0].split("-"))
    raise AssertionError("the extension is not mapped")


class Failing:
    """with Failing(kind, first, last): allocations first .. last of a kind fail, from 1."""

    def __init__(self, kind, first, last):
        self.kind, self.first, self.last = kind, first, last

    def __enter__(self):
        if self.kind == "python":
            _testcapi.set_nomemory(self.first, self.last + 1)
        else:
            SHIMMED.fail_between(*CODE, self.first, self.last)

    def __exit__(self, *unused):
        if self.kind == "python":
            _testcapi.remove_mem_hooks()
        else:
            SHIMMED.fail_between(0, 0, -1, -1)


def attempt(call, kind, first, last):
    """("result", what it gave) or ("error", exception)."""
    try:
        with Failing(kind, first, last):
            result = call()
    except BaseException as error:
        return "error", error
    return "result", result


def is_anothers(error):
    """Whether CPython or NumPy raised it in the place of MemoryError: in code of theirs, which called none of ours."""
    trace = error.__traceback__
    if trace is None or isinstance(error, MemoryError):
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    ours = Path(trace.tb_frame.f_code.co_filename).is_relative_to(Path(t0.__file__).parent) or trace.tb_frame.f_globals is globals()
    return not ours or any(text in str(error) for text in OTHERS)


def child(name, kind, mode, k, until):
    """Prints `k` before and what was wrong after every call; ends with the number of calls that failed, and of those that did as CPython
    or NumPy do."""
    global SHIMMED, CODE
    if kind == "core":
        SHIMMED = ctypes.CDLL(None)
        SHIMMED.fail_between.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_long, ctypes.c_long]
        CODE = code_of_the_core()
    with tempfile.TemporaryDirectory() as folder:
        call = entries(Path(folder))[name]
        expected, failed, others = call(), 0, 0
        assert call() == expected  # what is made once is made
        for k in range(k, until + 1):
            os.write(1, f"at {k}\n".encode())
            what, found = attempt(call, kind, k, k + COUNTS[mode] - 1)
            if what == "error":
                failed += 1
                if is_anothers(found):
                    others += 1
                elif not isinstance(found, MemoryError):
                    print(f"wrong {type(found).__name__}: {found}", flush=True)
            elif found != expected:
                print("wrong result", flush=True)
            if call() != expected:
                print("wrong result afterwards", flush=True)
            if what == "result" and kind == "core":  # it made fewer
                os.write(1, f"at {until}\n".encode())
                break
    print(f"failed {failed} {others}", flush=True)


# ---- the parent ------------------------------------------------------------------------------------------------------


def build(folder):
    """The library that makes the extension's allocations fail."""
    source, library = Path(folder) / "shim.c", Path(folder) / "shim.so"
    source.write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", str(source), "-o", str(library), "-ldl"], check=True)
    return library


def run(library, name, kind, mode, first):
    """(calls, those that failed, those of them that did as CPython or NumPy do, [what was wrong]) of one entry point."""
    environment = os.environ | {"PYTHONPATH": f"{Path(t0.__file__).parent.parent}:{Path(__file__).parent}", "OMP_NUM_THREADS": "1"}
    environment |= {"LD_PRELOAD": str(library)} if kind == "core" else {}
    at, failed, others, wrong = 0, 0, 0, []
    while at < first:
        code = f"import fuzz_allocations; fuzz_allocations.child({name!r}, {kind!r}, {mode!r}, {at + 1}, {first})"
        done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
        before = at
        for line in done.stdout.splitlines():
            word, _, rest = line.partition(" ")
            if word == "at":
                at = int(rest)
            elif word == "failed":
                failed, others = (sum(counts) for counts in zip((failed, others), map(int, rest.split())))
            else:
                wrong.append(f"{name}, {kind}, {mode}, allocation {at}: {line}")
        if done.returncode != 0:
            wrong.append(f"{name}, {kind}, {mode}, allocation {at}: exit code {done.returncode}; {done.stderr.strip()[-700:]}")
            if at == before:
                break
    return at, failed, others, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries")
    parser.add_argument("--first", type=int, default=300)
    parser.add_argument("--kinds", default="core,python")
    args = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        library, names = build(folder), args.entries.split(",") if args.entries else list(entries(Path(folder)))
        for kind in args.kinds.split(","):
            if kind == "python" and _testcapi is None:
                print("python: left out: no _testcapi")
                continue
            for name in names:
                for mode in MODES[kind]:
                    calls, failed, others, wrong = run(library, name, kind, mode, args.first)
                    bad += len(wrong)
                    told = f"{failed - others} with MemoryError, {others} as CPython or NumPy fail, {len(wrong)} wrong"
                    print(f"{name}, {kind}, {mode}: the first {calls}, {told}", flush=True)
                    for line in wrong[:20]:
                        print("   ", line, flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
