"""What the tokenizer takes beside str: bytes, string arrays in Arrow's memory (made here, so that no package is needed),
sentinels in texts; and that hostile ones do no harm."""

import random
import struct
import subprocess
import sys
import time

import pytest
from arrow_arrays import FILL, FORMATS, LAST, RELEASE, Chunks, Column, released
from conftest import needed
from fuzz_arrow import fuzz
from spiece_files import ABSENT, BYTES, field, model_file

import t0native as t0
from t0native import Tokenizer

TEXTS = ["a cat", "", "the tea is cold, said Anna", "é日😀", "b" * 12, "c" * 13]


@pytest.fixture(scope="module")
def tok():
    return t0.mini.tokenizer()


def equal(batch, want):
    return batch.ids.tolist() == want.ids.tolist() and batch.offsets.tolist() == want.offsets.tolist()


# ---------------------------------------------------------------------------------------- Arrow's C data interface


@pytest.mark.parametrize("offset", [0, 3, 9])
@pytest.mark.parametrize("format", FORMATS)
def test_arrow_arrays(tok, format, offset):
    want = tok.encode_batch(TEXTS, add_eos=True)
    assert equal(tok.encode_batch(Column(TEXTS, format, offset), add_eos=True), want)
    assert equal(tok.encode_batch(Column(TEXTS, format, offset, null_count=0), add_eos=True, threads=2), want)


def test_arrow_streams(tok):
    released.clear()
    assert equal(tok.encode_batch(Chunks(Column(TEXTS[:2]), Column([]), Column(TEXTS[2:]))), tok.encode_batch(TEXTS))
    assert len(released) == 3  # each chunk is given back, once
    assert len(tok.encode_batch(Chunks())) == 0
    with pytest.raises(ValueError, match="the Arrow stream failed: disk on fire"):
        tok.encode_batch(Chunks(Column(TEXTS), error=b"disk on fire"))


def test_arrow_packages(tok):
    pyarrow = needed("pyarrow", "pip install '.[parity]'")
    want = tok.encode_batch(TEXTS)
    for kind in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()):
        assert equal(tok.encode_batch(pyarrow.array(["x", *TEXTS], kind)[1:]), want)
    assert equal(tok.encode_batch(pyarrow.chunked_array([TEXTS[:1], TEXTS[1:]])), want)


@pytest.mark.parametrize(
    "column, message",
    [
        (Column(["a", "b", None]), r"texts\[2\] is null"),
        (Chunks(Column(["a"]), Column(["b", None])), r"texts\[2\] is null"),
        (Column(["a"], "i"), 'format "i"'),
        (Column(["a"], "+s"), "one of its columns"),
        (Chunks(Column(["a"]), format=b"i"), 'format "i"'),  # whose producer runs Python while the error is on its way
        (Column(["a", b"b\xff"]), r"texts\[1\]: byte 0xff at offset 1 is not UTF-8"),
        (Column(["a", "b"], buffers=[None, struct.pack("<3i", 0, 2, 1), b"ab"]), r"texts\[1\]: offsets that do not ascend"),
        (Column(["a"], buffers=[None, struct.pack("<2i", -1, 1), b"ab"]), r"texts\[0\]: offsets"),
        (Column(["a"], buffers=[None, struct.pack("<2i", 0, 1), None]), r"texts\[0\]: offsets"),
        (Column(["a"], buffers=[None, None, b"ab"]), "no offsets"),
        (Column(["a"], buffers=[None, b""]), "too few buffers"),
        (Column(["a"], buffers=[None, struct.pack("<2i", 0, 1), b"a", b""]), "too few buffers, or too many"),
        (Column(["a"], "vu", buffers=[None, struct.pack("<i12s", -1, b""), struct.pack("<q", 0)]), "a negative size"),
        (Column(["a"], "vu", buffers=[None, struct.pack("<i4sii", 13, b"", 1, 0), b"a" * 13, struct.pack("<q", 13)]), "beyond its buffer"),
        (Column(["a"], "vu", buffers=[None, struct.pack("<i4sii", 13, b"", 0, 1), b"a" * 13, struct.pack("<q", 13)]), "beyond its buffer"),
        (
            Column(["a"], "vu", buffers=[None, struct.pack("<i4sii", 13, b"", 0, 1), b"a" * 13, struct.pack("<q", -(2**63))]),
            "beyond its buffer",
        ),
        (Column(["a"], "vu", buffers=[None, struct.pack("<i4sii", 13, b"aaab", 0, 0), b"a" * 13, struct.pack("<q", 13)]), "does not begin"),
        (Column(["a"], "vu", buffers=[None, struct.pack("<i4sii", 13, b"aaaa", 0, 0), None, struct.pack("<q", 13)]), "beyond its buffer"),
        (Column(["a"], "vu", buffers=[None, struct.pack("<i4sii", 13, b"aaaa", 0, 0), b"a" * 13, None]), "no sizes"),
    ],
)
def test_arrow_arrays_that_cannot_be_read(tok, column, message):
    with pytest.raises((TypeError, ValueError), match=message):
        tok.encode_batch(column)


LIES = [
    ("array.length", -1, "a negative length or offset"),
    ("array.offset", -1, "a negative length or offset"),
    ("array.offset", 2**63 - 1, "beyond what memory can hold"),
    ("array.offset", 2**61, "beyond what memory can hold"),
    ("array.length", 2**62, "beyond what memory can hold"),
    ("array.null_count", -2, "a number of nulls that cannot be"),
    ("array.null_count", 3, "a number of nulls that cannot be"),
    ("array.null_count", 1, "a number of nulls, and no text that is null"),
    ("array.n_buffers", -1, "too few buffers"),
    ("array.n_buffers", 2**40, "too many"),
    ("array.buffers", None, "too few buffers"),
    ("array.n_children", 1, "children or a dictionary"),
    ("array.dictionary", 8, "children or a dictionary"),
    ("array.release", RELEASE(), "the Arrow array was consumed already"),
    ("schema.release", RELEASE(), "the Arrow schema was consumed already"),
    ("schema.format", None, "has no format"),
    ("schema.n_children", 1, "an Arrow schema of strings with children"),
    ("schema.dictionary", 8, "dictionary-encoded"),
    ("names", (b"arrow_schema", b"array"), "must return two PyCapsules"),
    ("names", (b"schema", b"arrow_array"), "must return two PyCapsules"),
    ("names", (b"arrow_array", b"arrow_schema"), "must return two PyCapsules"),
]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name, value, message", LIES)
def test_arrow_arrays_that_lie(tok, format, name, value, message):
    column = Column(["a", "b"], format)
    *path, last = name.split(".")
    setattr(getattr(column, path[0]) if path else column, last, value)
    with pytest.raises((TypeError, ValueError), match=message):
        tok.encode_batch(column)


def test_an_arrow_array_is_taken_once(tok):
    column = Column(["a", "b"])
    released.clear()
    assert len(tok.encode_batch(column)) == 2 and len(released) == 1
    with pytest.raises(ValueError, match="the Arrow array was consumed already; ask its owner for another"):
        tok.encode_batch(column)
    assert len(released) == 1


@pytest.mark.parametrize("nothing", ["release", "get_next", "get_schema"])
def test_arrow_streams_that_lie(tok, nothing):
    chunks = Chunks(Column(["a"]))
    setattr(chunks.stream, nothing, {"release": RELEASE, "get_next": FILL, "get_schema": FILL}[nothing]())
    with pytest.raises(ValueError, match="the Arrow stream was consumed already"):
        tok.encode_batch(chunks)
    chunks = Chunks(Column(["a"]))
    chunks.name = b"arrow_array"
    with pytest.raises(TypeError, match='must return a PyCapsule "arrow_array_stream"'):
        tok.encode_batch(chunks)
    chunks = Chunks(Column(["a"]), error=b"x")
    chunks.stream.get_last_error = LAST()
    with pytest.raises(ValueError, match="the Arrow stream failed: "):
        tok.encode_batch(chunks)


def test_many_small_arrow_arrays_take_linear_time(tok):
    def seconds(n):
        chunks = Chunks(*(Column(["a"]) for _ in range(n)))
        began = time.process_time()
        assert len(tok.encode_batch(chunks)) == n
        return time.process_time() - began

    seconds(100)
    assert seconds(8000) < 40 * max(0.02, seconds(1000))


def test_arrays_from_the_fuzz():
    """A slice; python tests/fuzz_arrow.py does a million, under sanitizers."""
    assert fuzz(0, 2000) == []


def test_objects_without_the_package_that_their_arrow_needs(tok):
    class Series:
        def __init__(self, error):
            self.error = error

        def __iter__(self):
            return iter(TEXTS)

        def __arrow_c_stream__(self, requested_schema=None):
            raise self.error

    class Pair:
        def __arrow_c_array__(self, requested_schema=None):
            return "no", "capsules"

    assert equal(tok.encode_batch(Series(ImportError("pyarrow"))), tok.encode_batch(TEXTS))
    with pytest.raises(RuntimeError, match="broken"):
        tok.encode_batch(Series(RuntimeError("broken")))
    with pytest.raises(TypeError, match="must return two PyCapsules"):
        tok.encode_batch(Pair())


# ----------------------------------------------------------------------------------------------- bytes and sentinels


def test_bytes_are_utf8(tok):
    assert equal(tok.encode_batch([text.encode() for text in TEXTS]), tok.encode_batch(TEXTS))
    assert tok.encode("é日".encode()) == tok.encode("é日") and tok.spans("é日".encode()) == tok.spans("é日")
    for bad, at in ((b"abcdefgh\xc3", 8), (b"\xed\xa0\x80", 0), (b"a\xc0\x80", 1), (b"a\xf4\x90\x80\x80", 1)):
        with pytest.raises(ValueError, match=rf"texts\[1\]: byte 0x{bad[at]:02x} at offset {at} is not UTF-8"):
            tok.encode_batch(["fine", bad])
        assert tok.encode(bad, errors="replace") == tok.encode(bad.decode(errors="replace"))


def test_sentinels_in_texts(tok):
    """Each is its id; what lies between is encoded as texts of their own: the hub's (legacy) rule."""
    model = Tokenizer.from_bytes(tok.model_bytes, extra_ids=100)
    rng = random.Random(2)
    for _ in range(300):
        parts = [
            rng.choice([*TEXTS, " ", "<", "<extra_id_", "<extra_id_100>", "<extra_id_07>", "<extra_id_1"]) for _ in range(rng.randrange(6))
        ]
        numbers = [rng.randrange(100) for _ in parts]
        text = "".join(f"{part}<extra_id_{k}>" for part, k in zip(parts, numbers)) + "the end"
        want = [i for part, k in zip(parts, numbers) for i in [*model.encode(part), model.sentinel(k)]] + model.encode("the end")
        assert model.encode(text, sentinels=True) == want
        assert model.encode_batch([text, text], sentinels=True, add_eos=True)[1].tolist() == [*want, model.eos_id]
        assert model.encode(text) == Tokenizer.from_bytes(tok.model_bytes, extra_ids=0).encode(text, sentinels=True)


def test_sentinels_of_t5(public_data):
    """Ids of the hub's T5 tokenizer."""
    model = Tokenizer.from_file(public_data / "data/t5-spiece/spiece.model")
    assert model.encode("Hello <extra_id_0>.", sentinels=True) == [8774, 32099, 3, 5]
    assert model.encode("Hello <extra_id_0> walks<extra_id_1>  x", sentinels=True) == [8774, 32099, 10681, 32098, 3, 226]
    assert model.encode("<extra_id_0><extra_id_99>", sentinels=True) == [32099, 32000]


@pytest.mark.parity
def test_sentinels_agree_with_the_hub(public_data):
    from transformers import T5Tokenizer

    folder = public_data / "data/t5-spiece"
    hub, model = T5Tokenizer.from_pretrained(folder), Tokenizer.from_file(folder / "spiece.model")
    rng = random.Random(3)
    for _ in range(300):
        text = "".join(rng.choice(["<extra_id_0>", "<extra_id_42>", " ", "the dog", ".", " walks"]) for _ in range(rng.randrange(8)))
        assert model.encode(text, add_eos=True, sentinels=True) == hub.encode(text), text


# ------------------------------------------------------------------------------------------------------------ size


def test_a_text_of_100_megabytes(tok):
    text = "the cat sat " * (100_000_000 // 12)
    once = tok.encode_batch(["the cat sat"]).ids
    assert (tok.encode_batch([text]).ids.reshape(-1, len(once)) == once).all()


def test_a_megabyte_of_random_bytes():
    noise = random.Random(1).randbytes(1 << 20)
    lossless = Tokenizer.from_bytes(model_file([*BYTES, ABSENT], field(35, True), b"".join(field(number, False) for number in (3, 4, 5))))
    text = noise.decode(errors="replace")
    assert lossless.decode(lossless.encode_batch([noise], errors="replace")[0]) == text


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_takes_little_memory(public_data):
    """The peak is at most 8 MB over the file."""
    code = """if True:
        import re, sys, t0native as t0
        def kilobytes(name): return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
        data = open(sys.argv[1], "rb").read()
        t0.mini.tokenizer()
        open("/proc/self/clear_refs", "w").write("5")  # the peak is counted anew
        before = kilobytes("VmRSS")
        tok = t0.Tokenizer.from_bytes(data)
        print(kilobytes("VmHWM") - before, tok.n_pieces)"""
    command = [sys.executable, "-P", "-c", code, str(public_data / "data/t5-spiece/spiece.model")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    grown, pieces = map(int, done.stdout.split())
    assert pieces == 32000 and grown < 8 * 1024
