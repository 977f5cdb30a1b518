"""Structured inputs for fuzz_readers.py: small sound files of every reader, and changes that know what a file is made of.

    case      {name of a file: its bytes}, all in one folder
    changed   a case with one to four changes, each of one file: by its structure (values of JSON, fields of a zip, instructions of a
              pickle, tokens of MessagePack, lines of YAML, numbers of an index), or by its bytes

JSON is held as a tree in which an object is Pairs, so that a name can stand twice, and Raw is text that is written as it stands."""

import bz2
import gzip
import json
import lzma
import pickletools
import random
import struct
import zlib

import numpy as np
from checkpoint_files import pack, state_dict_program, t5x_arrays, t5x_tree, tensor_program, text, torch_program
from gguf_files import change_gguf

LARGEST = 1 << 20  # bytes of a file
ESCAPE, HALF = "\x1b[2J\u202e\x07", "\ud800"
NUMBERS = [0, 1, 2, 7, 8, 9, 127, 128, 255, 256, 0xFFFF, 1 << 20, 2**31 - 1, 2**31, 0xFFFFFFFF, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64]


class Pairs(list):
    """[(name, value)] of an object."""


class Raw(str):
    """JSON as it stands."""


def written(tree):
    if isinstance(tree, Raw):
        return str(tree)
    if isinstance(tree, Pairs):
        return "{" + ",".join(f"{json.dumps(str(name))}:{written(value)}" for name, value in tree) + "}"
    if isinstance(tree, (list, tuple)):
        return "[" + ",".join(map(written, tree)) + "]"
    return json.dumps(tree)


def as_tree(value):
    if isinstance(value, dict):
        return Pairs((name, as_tree(inner)) for name, inner in value.items())
    return [as_tree(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def nested(rng):
    depth = rng.choice([3, 40, 99, 100, 101, 180, 330, 480, 900, 1500, 20_000])
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}"), ('{"type":"Sequence","normalizers":[', "]}"), ('{"pretokenizers":[', "]}")])
    return Raw(
        opening * depth
        + rng.choice(["", "1", "null"] if opening == "[" else ["1", "null", "[]"]) * (opening[-1] != "[" or depth < 9)
        + closing * depth
    )


def odd_value(rng):
    """A value that a field does not expect."""
    kind = rng.randrange(9)
    if kind == 0:
        return rng.choice(NUMBERS) * rng.choice([1, -1])
    if kind == 1:
        return Raw(
            rng.choice(["1" + "0" * 400, "-" + "9" * 4000, "9" * 5000, "1e999", "NaN", "-Infinity", "1e-400", "0.5", "1.0", "-0", "0" * 99])
        )
    if kind == 2:
        return rng.choice(["", ESCAPE, "a\0b", "..", "/", "../x", "x" * 300, "nine " * 2000, "F32", "true", "\ufeff", "\n", " "])
    if kind == 3:
        return Raw(rng.choice(['"\\ud800"', '"\\u0000"', '"\\u001b[2J"']))
    if kind == 4:
        return rng.choice([None, True, False])
    if kind == 5:
        return nested(rng)
    if kind == 6:
        return [rng.choice([0, 1, 3, -1, "a", None, True, [], 2**63])] * rng.choice([0, 1, 2, 3, 8, 9, 400])
    if kind == 7:
        return Pairs((rng.choice(["a", "id", "type", "0", ESCAPE]), rng.choice([1, "b", None])) for _ in range(rng.randrange(4)))
    return rng.random() * rng.choice([1, 1e300, -1e300, 1e-300])


def slots(tree, found=None):
    """(container, place) of every value in a tree."""
    found = [] if found is None else found
    for place, inner in enumerate(tree):
        if len(found) < 3000:
            found.append((tree, place))
            inner = inner[1] if isinstance(tree, Pairs) else inner
            if isinstance(inner, list):
                slots(inner, found)
    return found


def change_tree(rng, tree):
    """Changes one value of a tree in its place."""
    places = slots(tree) if isinstance(tree, list) else []
    if not places or rng.random() < 0.02:
        return odd_value(rng)
    within, at = rng.choice(places)
    pairs = isinstance(within, Pairs)
    value = within[at][1] if pairs else within[at]
    how = rng.randrange(8)
    if how == 0:
        del within[at]
    elif how == 1:
        within[at:at] = [within[at]] * rng.choice([1, 1, 1, 9, 300])
    elif how == 2 and pairs:
        within[at] = (rng.choice(["", "a", ESCAPE, "y" * 2000, "__metadata__", HALF, *(name for name, _ in within)]), value)
    else:
        if how <= 3 and isinstance(value, (int, float)):
            new = value + rng.choice([-1, 1]) if rng.random() < 0.5 else rng.choice(NUMBERS)
        elif how == 4:
            other, place = rng.choice(places)
            new = other[place][1] if isinstance(other, Pairs) else other[place]
        elif how == 5:
            new = rng.choice([[value], Pairs([("a", value)]), [value, value]])
        else:
            new = odd_value(rng)
        within[at] = (within[at][0], new) if pairs else new
    return tree


def change_json(rng, data):
    tree = json.loads(data, object_pairs_hook=Pairs)
    for _ in range(rng.randint(1, 3)):
        tree = change_tree(rng, tree)
    return written(tree).encode(errors="surrogatepass")


def change_bytes(rng, data):
    data = bytearray(data or b"\0")
    at, how = rng.randrange(len(data)), rng.randrange(7)
    if how == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif how == 1:
        data[at] = rng.randrange(256)
    elif how == 2:
        del data[at : at + rng.choice([1, 2, 9, 1000])]
    elif how == 3:
        data[at:at] = rng.randbytes(rng.randint(1, 5))
    elif how == 4:
        size = rng.choice([1, 2, 4, 8])
        data[at : at + size] = (rng.choice(NUMBERS) % 256**size).to_bytes(size, rng.choice(["little", "big"]))
    elif how == 5:
        other = rng.randrange(len(data))
        data[at:at] = data[other : other + rng.choice([1, 9, 200])] * rng.choice([1, 1, 50])
    else:
        del data[at:]
    return bytes(data)


# ---- safetensors and packed files: a length, a header of JSON, bytes ------------------------------------------------------------------


def framed(header, magic=b""):
    return magic + struct.pack("<Q", len(header)) + header


def change_framed(rng, data, start):
    """start: bytes before the length."""
    (length,) = struct.unpack("<Q", data[start : start + 8].ljust(8, b"\0"))
    header, body = data[start + 8 : start + 8 + length], data[start + 8 + length :]
    how = rng.randrange(8)
    if how == 0:
        return data[:start] + struct.pack("<Q", rng.choice([*NUMBERS[:-1], length + 1, max(0, length - 1)])) + header + body
    if how == 1:
        body = rng.choice([b"", body[:-1], body + b"\0", change_bytes(rng, body)])
    else:
        header = change_json(rng, header)
        if start:
            body = bytes(-(start + 8 + len(header)) % 4096) + body.lstrip(b"\0")
    return framed(header, data[:start]) + body


def safetensors(rng, tensors):
    header, at, parts = [], 0, []
    for name, array in tensors.items():
        header.append((name, {"dtype": "F32", "shape": array.shape, "data_offsets": [at, at + array.nbytes]}))
        at += array.nbytes
        parts.append(array.tobytes())
    if rng.random() < 0.3:
        header.append(("__metadata__", {"format": "pt"}))
    return framed(written(as_tree(dict(header))).encode()) + b"".join(parts)


# ---- zips, and PyTorch's pickle in one ------------------------------------------------------------------------------------------------


_FIELDS = {  # signature: (offset, bytes) of its fields
    b"PK\3\4": [(4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)],
    b"PK\1\2": [(8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (42, 4)],
    b"PK\5\6": [(4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)],
    b"PK\6\6": [(4, 8), (16, 4), (20, 4), (24, 8), (32, 8), (40, 8), (48, 8)],
    b"PK\6\7": [(4, 4), (8, 8), (16, 4)],
}


def zipped(members, wide=False):
    """A zip of {name: content}, stored. wide: with zip64's fields."""
    out, central, at = [], [], 0
    for name, content in members.items():
        raw, size, crc = name.encode(errors="surrogatepass"), len(content), zlib.crc32(content)
        small, extra = (0xFFFFFFFF, struct.pack("<2H3Q", 1, 24, size, size, at)) if wide else (size, b"")
        place = 0xFFFFFFFF if wide else at
        sizes = len(raw), len(extra), 0, 0, 0, 0, place
        central += [struct.pack("<4s6H3L5H2L", b"PK\1\2", 45, 45, 0, 0, 0, 0, crc, small, small, *sizes), raw, extra]
        out += [struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 0, crc, size, size, len(raw), 0), raw, content]
        at += 30 + len(raw) + size
    n, directory = len(members), b"".join(central)
    end = b""
    if wide:
        end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, n, n, len(directory), at)
        end += struct.pack("<4sLQL", b"PK\6\7", 0, at + len(directory), 1)
    return b"".join([*out, directory, end, struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, n, n, len(directory), at, 0)])


def change_zip(rng, data):
    places = [(at, fields) for sign, fields in _FIELDS.items() for at in _all(data, sign)]
    if not places:
        return change_bytes(rng, data)
    at, fields = rng.choice(places)
    offset, size = rng.choice(fields)
    old = int.from_bytes(data[at + offset : at + offset + size], "little")
    new = rng.choice([old + 1, old - 1, old ^ 1, *NUMBERS]) % 256**size
    return data[: at + offset] + new.to_bytes(size, "little") + data[at + offset + size :]


def _all(data, sign):
    at = data.find(sign)
    while at >= 0:
        yield at
        at = data.find(sign, at + 1)


_INSTRUCTIONS = [
    b"cos\nsystem\n",
    b"cbuiltins\neval\n",
    b"\x8c\x01a",
    b"\x93",
    b"h\0",
    b"h\7",
    b"q\0",
    b"r\xff\xff\xff\xff",
    b"0",
    b"2",
    b"1",
    b"(",
    b"t",
    b"}",
    b")",
]
_INSTRUCTIONS += [
    b"R",
    b"Q",
    b"b",
    b"\x81",
    b"o",
    b"N",
    b"s",
    b"u",
    b"\x85",
    b"\x86",
    b"\x87",
    b"K\7",
    b"J\xff\xff\xff\xff",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
]
_INSTRUCTIONS += [
    b"\x8a\xff" + b"\1" * 255,
    text(ESCAPE),
    text("x" * 500),
    text("storage"),
    b"X\xff\xff\xff\xff",
    b"ctorch\nFloatStorage\n",
    b".",
]
_INSTRUCTIONS += [b"(" * 300 + b"t" * 300, b"}q\x05h\x05h\x05s", b")\x85q\x09" + b"h\x09h\x09\x86q\x09" * 60]


def change_pickle(rng, program):
    starts = [at for _, _, at in pickletools.genops(program)]
    parts = [program[a:b] for a, b in zip(starts, [*starts[1:], len(program)])]
    at, how = rng.randrange(len(parts)), rng.randrange(5)
    if how == 0:
        del parts[at]
    elif how == 1:
        parts.insert(at, rng.choice(parts))
    elif how == 2:
        other = rng.randrange(len(parts))
        parts[at], parts[other] = parts[other], parts[at]
    elif how == 3 and parts[at][:1] in b"KMJX":
        size = len(parts[at]) - 1 if parts[at][:1] != b"X" else 4
        parts[at] = parts[at][:1] + (rng.choice(NUMBERS) % 256**size).to_bytes(size, "little") + parts[at][1 + size :]
    else:
        parts.insert(at, rng.choice(_INSTRUCTIONS))
    return b"".join(parts)


def torch_file(rng, tensors, odd=0.3):
    if rng.random() < odd:
        parts = {
            f"t{i}": tensor_program("float32", "0", 12, *rng.choice([((3, 4),), ((4, 3), (1, 4)), ((2, 2), (4, 1)), ((12,),), ((),)]))
            for i in range(3)
        }
        program, storages = state_dict_program(parts), {"0": np.arange(12, dtype=np.float32).tobytes()}
    else:
        program, storages = torch_program(tensors)
    members = {"a/data.pkl": program, **{f"a/data/{key}": content for key, content in storages.items()}, "a/version": b"3\n"}
    return zipped(members | ({"a/byteorder": b"little"} if rng.random() < 0.3 else {}), wide=rng.random() < 0.3)


def change_torch(rng, data):
    begin, end = data.find(b"\x80\2"), data.find(b".PK\3\4") + 1
    if rng.random() < 0.4 or begin < 0 or end < begin:
        return change_zip(rng, data)
    members, at = {}, 0  # the archive is written anew around a changed program
    while data[at : at + 4] == b"PK\3\4":
        size, n = struct.unpack("<L4xH", data[at + 18 : at + 28])
        name = data[at + 30 : at + 30 + n].decode(errors="replace")
        members[name] = data[at + 30 + n : at + 30 + n + size]
        at += 30 + n + size
    members = {name: change_pickle(rng, content) if name.endswith("data.pkl") else content for name, content in members.items()}
    return zipped(members, wide=b"PK\6\6" in data)


# ---- MessagePack ----------------------------------------------------------------------------------------------------------------------


_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_WITH_CONTENT, _HEADS = (
    {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4},
    {0xC7: 2, 0xC8: 3, 0xC9: 5, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4},
)


def tokens_of(data):
    """The heads and scalars of a MessagePack file, one after the other; an array's content stays with its head."""
    found, at = [], 0
    while at < len(data):
        code = data[at]
        size = 1 + _FIXED.get(code, 0) + _HEADS.get(code, 0)
        if code in _WITH_CONTENT:
            size += _WITH_CONTENT[code] + int.from_bytes(data[at + 1 : at + 1 + _WITH_CONTENT[code]], "big")
        elif 0xA0 <= code < 0xC0:
            size += code & 31
        elif 0xD4 <= code <= 0xD8:
            size += 1
        found.append(data[at : at + size])
        at += size
    return found


def change_msgpack(rng, data):
    tokens = tokens_of(data)
    if not tokens:
        return b"\xc0"
    at, how = rng.randrange(len(tokens)), rng.randrange(6)
    if how == 0:
        del tokens[at]
    elif how == 1:
        tokens.insert(at, rng.choice(tokens))
    elif how == 2:
        tokens[at] = rng.choice(tokens)
    elif how == 3:
        value = rng.choice(
            [None, True, 0, -1, 2**62, 0.5, ESCAPE, "x" * 5000, [], {}, b"ab", "__msgpack_chunked_array__", "driver", "float32"]
        )
        tokens[at] = rng.choice(
            [
                pack(value),
                b"\x91" * rng.choice([20, 33, 2000]),
                b"\xc1",
                b"\xdf\xff\xff\xff\xff",
                b"\xdd\x7f\xff\xff\xff",
                pack(np.zeros(3, np.float32)),
            ]
        )
    else:
        size = rng.choice([1, 2, 4])
        tokens[at] = tokens[at][:1] + (rng.choice(NUMBERS) % 256**size).to_bytes(size, "big") + tokens[at][1 + size :]
    return b"".join(tokens)


def t5x_file(rng, tensors, leaves=()):
    tree = t5x_tree(t5x_arrays(tensors) | dict(leaves))
    if rng.random() < 0.3:
        pieces = {str(i): np.arange(3, dtype=np.float32) for i in range(2)}
        tree["optimizer"]["target"]["x"] = {"__msgpack_chunked_array__": True, "shape": {"0": 2, "1": 3}, "chunks": pieces}
    return pack(tree)


# ---- texts: YAML, CSV, JSON Lines -----------------------------------------------------------------------------------------------------


_YAML = [
    "&a ",
    "*a",
    "<<: *a",
    "<<: [*a, *a]",
    "!Template ",
    "!TemplateMetadata ",
    "!!int ",
    "!!float ",
    "!!bool ",
    "!!timestamp ",
    "!!binary ",
    "!!set ",
    "!!omap ",
    "!!pairs ",
]
_YAML += [
    "!!null ",
    "!!seq ",
    "!!map ",
    "!!str ",
    "!!merge ",
    "!!value ",
    "!!python/object/apply:os.system ",
    "!<tag:x> ",
    f"!{'t' * 400} ",
    "? ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "|\n",
    ">-\n",
]
_YAML += [
    "2024-13-45",
    "2024-01-31",
    "9" * 5000,
    "0x" + "f" * 900,
    "1:1:1:1",
    ".nan",
    ".inf",
    "-.inf",
    "1e400",
    "~",
    "true",
    "0o17",
    "'",
    '"',
    '"\\e[2J"',
    '"\\uD800"',
    "\0",
    "\x1b",
    "\u2028",
    "---\n",
    "...\n",
]
_YAML += [
    "%YAML 9.9\n",
    "[" * 150,
    "{a: " * 99,
    "{a: " * 101,
    "[*a, *a, *a, *a, *a, *a, *a, *a, *a]",
    "x" * 3000,
    "{{ " * 300,
    "{% for a in b %}",
    "'|||'",
    "{? [a] : 1}",
    "{? {a: 1} : 1}",
    "? [a]\n",
    "=",
    "null",
]


def change_yaml(rng, data):
    lines = data.decode(errors="replace").split("\n")
    at, how = rng.randrange(len(lines)), rng.randrange(7)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(rng.randrange(len(lines) + 1), lines[at])
    elif how == 2:
        lines[at] = rng.choice(["", " ", "  ", "    "]) + lines[at].lstrip()
    elif how == 3:
        other = rng.choice(lines)
        lines[at] = lines[at].partition(":")[0] + ":" + other.partition(":")[2]
    elif how == 4:
        lines[at] = lines[at].partition(":")[0] + ": " + rng.choice(_YAML)
    elif how == 5:
        lines.insert(at, f"x{rng.randrange(9)}: &{rng.choice('abc')} {rng.choice(_YAML)}")
    else:
        place = rng.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:place] + rng.choice(_YAML) + lines[at][place:]
    return "\n".join(lines).encode(errors="surrogatepass")


_CELLS = [
    '"',
    '""',
    ",",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\0",
    "\ufeff",
    "'",
    "1",
    "-0",
    "1e999",
    "nan",
    "9" * 5000,
    "true",
    "False",
    "None",
    ESCAPE,
    "\u2028",
    "x" * 3000,
    "0" * 400,
    "1_0",
    "\u0661",
    " 1",
    "1.",
    "0x1",
]


def change_table(rng, data):
    pieces = data.decode(errors="replace")
    place = rng.randrange(len(pieces) + 1)
    how = rng.randrange(4)
    if how == 0:
        pieces = pieces[:place] + rng.choice(_CELLS) + pieces[place:]
    elif how == 1:
        pieces = pieces[:place] + pieces[place + rng.choice([1, 1, 4, 30]) :]
    elif how == 2:
        lines = pieces.split("\n")
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
        pieces = "\n".join(lines)
    else:
        cells = pieces.split(",")
        cells[rng.randrange(len(cells))] = rng.choice(_CELLS)
        pieces = ",".join(cells)
    return rng.choice(
        [pieces.encode(errors="surrogatepass")] * 20
        + [pieces.encode("utf-16", errors="replace"), pieces.encode("latin-1", errors="replace")]
    )


def change_lines(rng, data):
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at] = change_json(rng, lines[at]) if rng.random() < 0.8 else change_table(rng, lines[at])
    return b"\n".join(lines)


def change_index(rng, data):
    """Of a file of rows (diskrows.py): its sum is put right again."""
    numbers = np.frombuffer(data[8 : 8 + (len(data) - 8) // 8 * 8], "<i8").copy()
    if len(numbers) < 6:
        return change_bytes(rng, data)
    n_about = int(numbers[3])
    if rng.random() < 0.5 and 0 < n_about < len(numbers):
        about = change_json(rng, numbers[5 : 5 + n_about].tobytes())[: 1 << 16]
        about += b" " * (-len(about) % 8)
        numbers = np.concatenate([numbers[:3], [len(about) // 8, 0], np.frombuffer(about, "<i8"), numbers[5 + n_about :]]).astype("<i8")
    else:
        at = rng.choice([2, 3, *range(5, len(numbers))])
        numbers[at] = rng.choice([int(numbers[at]) + 1, int(numbers[at]) - 1, -1, 0, 2**62, -(2**62), 9]) % 2**62
    numbers[4] = zlib.crc32(numbers[5:])
    return data[:8] + numbers.tobytes()


def change_packed(rng, data, ending):
    """A packed file: what is in it is changed, or the packing itself."""
    inside, outside = {
        "gz": (gzip.decompress, gzip.compress),
        "bz2": (bz2.decompress, bz2.compress),
        "xz": (lzma.decompress, lzma.compress),
    }.get(ending, (None, None))
    if ending == "zip" or rng.random() < 0.6:
        return change_zip(rng, data) if ending == "zip" else change_bytes(rng, data)
    try:
        return outside(change_lines(rng, inside(data)[: 1 << 16]))
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError):
        return change_bytes(rng, data)


def change_chunk(rng, data):
    """A chunk of zarr, compressed by gzip or by zlib or not."""
    try:
        plain = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return change_bytes(rng, data)
    return rng.choice([gzip.compress, zlib.compress, bytes])(
        rng.choice([plain, plain[:-1], plain + b"\0", plain * 500, change_bytes(rng, plain)])
    )


_BY_ENDING = [
    (".safetensors", lambda rng, data: change_framed(rng, data, 0)),
    (".t0packed", lambda rng, data: change_framed(rng, data, 8)),
    ((".bin",), change_torch),
    (".gguf", change_gguf),
    (("checkpoint", ".msgpack"), change_msgpack),
    ((".json", ".zarray"), change_json),
    (".jsonl", change_lines),
    (".rows", change_index),
    ((".yaml", ".gin"), change_yaml),
    ((".csv", ".tsv"), change_table),
    ("0.0", change_chunk),
    *((f".{ending}", lambda rng, data, ending=ending: change_packed(rng, data, ending)) for ending in ("gz", "bz2", "xz", "zip")),
]


def changed(rng, case, others=()):
    """The case with one to four changes. others: cases of the same reader, of which a file may be taken."""
    case = dict(case)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4])):
        name = rng.choice(list(case))
        if others and rng.random() < 0.05:
            case |= {name: dict(rng.choice(others)).get(name, case[name])}
        elif len(case) > 1 and rng.random() < 0.03:
            del case[name]
        else:
            change = next((change for ending, change in _BY_ENDING if name.endswith(ending)), change_bytes)
            try:
                content = (change if rng.random() < 0.9 else change_bytes)(rng, case[name])
            except Exception:  # what is no such file any more is changed by its bytes
                content = change_bytes(rng, case[name])
            case[name] = content[:LARGEST]
    return case


def seeded(*parts):
    return random.Random("/".join(map(str, parts)))
