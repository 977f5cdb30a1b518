"""Models that no training makes: character maps that lead nowhere, scores that do not add up, pieces of 64 KB; and Ctrl-C in long calls."""

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from spiece_files import NORMAL, UNKNOWN, USER, field, model_file, piece

import t0native as t0
from t0native import Tokenizer

SMALL = [("▁", -2.0), ("a", -3.0), ("b", -3.5), ("bb", -4.0)]


def with_units(changes, results=b"\0b\0", n=512):
    """A model whose character map turns "a" into "b", but for these units."""
    units = [1 << 31] * n  # labels that equal no byte
    units[0] = 256 << 10
    units[256 ^ 97] = 97 | 1 << 8 | (256 ^ 97 ^ 300) << 10
    units[300] = 1 << 31 | 1
    for place, unit in changes.items():
        units[place] = unit
    return model_file(SMALL, normalizer=field(2, struct.pack(f"<{n + 1}I", 4 * n, *units) + results))


def test_a_sound_map_is_taken():
    tok = Tokenizer.from_bytes(with_units({}))
    assert tok.spans("aa")[0] == "▁bb"


A = 256 ^ 97


@pytest.mark.parametrize(
    "model, message",
    [
        (
            with_units({A: 97 | 1 << 8 | (A ^ 256) << 10, 256: 1 << 31 | 1}),
            f"node {A} of the character map leads back to where it comes from",
        ),
        (with_units({A: 97 | (A ^ 256) << 10}), f"node {A} of the character map leads back"),  # a cycle without a result
        (with_units({A: 97 | (A ^ 301) << 10, 301 ^ 98: 98 | (301 ^ 98 ^ 256) << 10}), "has a cycle"),
        (with_units({A: 97 | (A ^ 5000) << 10}), f"node {A} of the character map leads out of its array"),
        (with_units({0: 1 << 20 << 10}), "node 0 of the character map leads out of its array"),
        (with_units({300: 97}), f"node {A} of the character map claims a result and has none"),
        (with_units({300: 1 << 31 | 1000}), f"node {A} of the character map has its result behind the last one"),
        (with_units({}, b"\0\xff\0"), "a result of the character map is not UTF-8"),
        (with_units({300: 1 << 31 | 2}, "\0é\0".encode()), f"node {A} of the character map has a result that begins inside a character"),
    ],
)
def test_maps_that_lead_nowhere_are_refused_with_the_place(model, message):
    with pytest.raises(t0.FormatError, match=rf"^offset \d+: .*{message}"):
        Tokenizer.from_bytes(model)


def chain(length):
    """A model with one rule, of so many "a", which becomes "b"."""
    n = 256 * (length + 2)
    units, place = [1 << 31] * n, 0
    for depth in range(length):
        base = 256 * (depth + 1)
        units[place] = (97 if depth else 0) | (place ^ base) << 10
        place = base ^ 97
    base = 256 * (length + 1)
    units[place], units[base] = 97 | 1 << 8 | (place ^ base) << 10, 1 << 31 | 1
    return model_file(SMALL, normalizer=field(2, struct.pack(f"<{n + 1}I", 4 * n, *units) + b"\0b\0"))


def test_rules_have_a_length_at_most():
    assert Tokenizer.from_bytes(chain(1024)).spans("a" * 1025)[0] == "▁ba"
    with pytest.raises(t0.FormatError, match="a rule of the character map replaces 1025 bytes, at most 1024"):
        Tokenizer.from_bytes(chain(1025))


@pytest.mark.parametrize("score", [-2e38, 3e38, 1.1e30, float("inf"), float("nan")])
def test_scores_beyond_what_adds_up_are_refused(score):
    with pytest.raises(t0.FormatError, match=r'piece 7, "bbbb", has the score \S+; must be a number from -1e\+30 to 1e\+30'):
        Tokenizer.from_bytes(model_file([*SMALL, ("bbbb", score)]))


@pytest.mark.parametrize("score", [-1e30, -1e29, -1e10, 1e30])
def test_large_scores_lose_no_id(score):
    sentencepiece = pytest.importorskip("sentencepiece")
    data = b"".join([piece("<unk>", 0, UNKNOWN), piece("bbbb", score)])
    tok, oracle = Tokenizer.from_bytes(data), sentencepiece.SentencePieceProcessor(model_proto=data)
    for text in ("bbbbbb b", "bbbb", "b bbbb b " * 50):
        assert tok.encode(text) == oracle.encode(text) == [span[1] for span in tok.spans(text)[1]]


def test_a_model_of_names_alone_is_refused():
    with pytest.raises(t0.FormatError, match="every piece is unknown, control or a byte"):
        Tokenizer.from_bytes(model_file([]))


def test_a_slice_of_the_fuzzing():
    """tests/fuzz_models.py makes as many as it is told, tests/c/fuzz_models.c a million under the sanitizers."""
    pytest.importorskip("sentencepiece")
    from fuzz_models import fuzz

    met, found = fuzz(400, 0)
    assert not found, found[:2]
    assert met["loaded"] > 350 and met["broken, refused"] > 200, met


# ------------------------------------------------------------------------------------------------- Ctrl-C

LATE = """
import os, pickle, signal, sys, threading, time
import numpy as np
import t0native as t0
models = pickle.load(open(sys.argv[1], "rb"))
plain, normal, user = map(t0.Tokenizer.from_bytes, models)
text = "a bb ab ba \\u00e9 bb " * 1_000_000
ids = np.tile(np.array(plain.encode("a bb ab ba"), np.int32), 1_500_000)
numbers = ids[:8_000_000].tolist()
calls = {
    "encode": (plain.encode, text),
    "encode bytes": (plain.encode, text.encode()),
    "decode": (plain.decode, ids),
    "decode of a list": (plain.decode, numbers),
    "a long piece": (normal.encode, "a" * 65_000),
    "a long piece, spans": (normal.explain, "a" * 65_000),
    "a long user-defined symbol": (user.encode, "a" * 65_000),
    "a batch by two threads": (lambda texts: normal.encode_batch(texts, threads=2), ["a", "a" * 65_000]),
}
for name, (call, argument) in calls.items():
    sent = []
    def send():
        sent.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(0.06, send)
    try:
        timer.start()
        while True:
            call(argument)
    except KeyboardInterrupt:
        late = time.process_time() - sent[0]
    timer.join()
    print(f"{late * 1000:.0f} {name}")
"""


def test_ctrl_c_is_answered_within_a_tenth_of_a_second(tmp_path):
    """In processor time, which other programs do not lengthen."""
    long = "a" * 65535
    tried = [model_file(SMALL), model_file([*SMALL, (long, -1.0, NORMAL)]), model_file([*SMALL, (long, -1.0, USER)])]
    (tmp_path / "models").write_bytes(pickle.dumps(tried))
    environment = {**os.environ, "PYTHONPATH": str(Path(t0.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", LATE, str(tmp_path / "models")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    late = {name: int(number) for number, name in (line.split(" ", 1) for line in done.stdout.splitlines())}
    assert len(late) == 8 and max(late.values()) < 100, late
