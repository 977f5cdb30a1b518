"""PyTorch's weight files (torch.save since 1.6): a zip whose members are stored, never compressed.

    NAME/data.pkl   a pickled state dict (statedict.py)          NAME/byteorder   "little", or absent
    NAME/data/KEY   the elements of the storage KEY              others           ignored

    zip = (local header 30 bytes + name + extra | data)* | (central header 46 + name + extra + comment)* |
          [zip64 end 56 | its locator 20] | end 22

Nothing is executed or unpacked: the directory is checked as a whole (sizes, names, overlaps, what two places say of one
member), and then each tensor is a place in the file. Format: APPNOTE.TXT of PKWARE, 4.3 and 4.5."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

from t0native.base.errors import FormatError
from t0native.base.placeholders import stand_in
from t0native.base.showing import named, shown
from t0native.checkpoints.statedict import LONGEST, read_state_dict
from t0native.checkpoints.tensorfiles import DTYPE_BYTES, Entry, Problems

__all__ = ["read_torch"]

_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # the number that torch wrote first, before 1.6
_MOST_MEMBERS, _LARGEST_DIRECTORY, _LONGEST_ENTRY = 100_000, 1 << 24, 46 + 3 * 0xFFFF
_AGAIN = "save it again with a newer PyTorch: torch.save(torch.load(file, weights_only=True), file)"


class Member(NamedTuple):
    header: int  # offset of its local header
    begin: int  # of its data
    size: int


def read_torch(path):
    """The entries of a PyTorch weight file, in the order of its state dict. FormatError naming file, member or tensor."""
    path = Path(path)
    with open(path, "rb") as file:
        members = _members(path, file)
        program = _content(path, file, members, "data.pkl", LONGEST)
        order = _content(path, file, members, "byteorder", 16) if "byteorder" in members else b"little"
    if order.strip() != b"little":
        raise FormatError(f"{path}: byteorder {shown(order)}: only little-endian files are read")
    problems = Problems(path)
    tensors = read_state_dict(f"{path}: data.pkl", program)
    entries = [_entry(path, name, tensor, members, problems) for name, tensor in tensors.items()]
    problems.check()
    return entries


def _entry(path, name, tensor, members, problems):
    """The entry of a tensor, or None after noting what is wrong with it."""
    storage, bytes_each = tensor.storage, DTYPE_BYTES[tensor.storage.dtype]
    member, key = members.get(f"data/{storage.key}"), named(f"data/{storage.key}")
    if member is None:
        return problems.add(f"tensor {named(name)}: its storage {key} is not in the file")
    if member.size != storage.count * bytes_each:
        wanted = f"{storage.count} elements of {storage.dtype} take {storage.count * bytes_each}"
        return problems.add(f"tensor {named(name)}: its storage {key} has {member.size} bytes, but {wanted}")
    first = tensor.offset * bytes_each
    strides = _needed_strides(tensor.shape, tensor.strides)
    if strides is not None and not (len(strides) == 2 and 1 in strides):
        layout = f"shape {list(tensor.shape)} and strides {list(tensor.strides)}"
        return problems.add(f"tensor {named(name)}: {layout}: neither its rows nor its columns lie end to end; save it .contiguous()")
    place = (member.begin + first, member.size - first)
    return Entry(path, name, storage.dtype, tensor.shape, (place,), strides)


def _needed_strides(shape, strides):
    """None where the elements lie end to end, else the strides. A dimension of one index never takes a step."""
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides)):
        if size > 1 and stride != expected:
            return strides
        expected *= size
    return None


# ---- the zip --------------------------------------------------------------------------------------------------------


def _members(path, file):
    """{name without the first folder: Member} of an archive whose every claim was checked."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(64)
    if start[:4] != b"PK\3\4":
        raise FormatError(f"{path}: {_describe(start)}")
    count, directory_size, directory = _end(path, file, size)
    if count > _MOST_MEMBERS or directory_size > _LARGEST_DIRECTORY:
        raise FormatError(
            f"{path}: {count} members in a directory of {directory_size} bytes; at most {_MOST_MEMBERS} in {_LARGEST_DIRECTORY} are read"
        )
    file.seek(directory)
    central, at, members = memoryview(file.read(directory_size)), 0, {}
    for _ in range(count):
        name, member, length = _central_header(path, central[at : at + _LONGEST_ENTRY], file, directory)
        if name in members:
            raise FormatError(f"{path}: member {shown(name)} stands twice")
        members[name], at = member, at + length
    if at != directory_size:
        raise FormatError(f"{path}: {directory_size - at} bytes behind the last entry of the directory belong to none")
    _check_no_overlap(path, members)
    return _strip_folder(path, members)


def _describe(start):
    """What a file is instead, by its first bytes."""
    if start.startswith(_LEGACY):
        return f"the format of torch.save before 1.6; {_AGAIN}"
    if start.startswith(b"\x80"):
        return f"a bare pickle, which only unpickling could read, and that can run code; where you trust it, {_AGAIN}"
    return stand_in(start) or "not a PyTorch weight file, which is a zip and begins with PK"


def _end(path, file, size):
    """(members, bytes of the directory, its offset), read from the last 22 bytes, or from the zip64 end before them."""
    tail = _bytes_at(path, file, size - 22, 22, size)
    signature, disk, its_disk, here, count, length, offset, comment = struct.unpack("<4s4H2LH", tail)
    if signature != b"PK\5\6" or comment:
        raise FormatError(f"{path}: a zip without its end: was it cut off?")
    end = size - 22
    locator = _bytes_at(path, file, end - 20, 20, size) if end >= 20 else b""
    if locator[:4] == b"PK\6\7":
        _, zip64, _ = struct.unpack("<4xLQL", locator)
        fields = struct.unpack("<4sQ2H2L4Q", _bytes_at(path, file, zip64, 56, size))
        small, (here, count, length, offset) = (here, count, length, offset), fields[6:]
        agree = all(a in (b, 2**bits - 1) for a, b, bits in zip(small, fields[6:], (16, 16, 32, 32)))
        disk, its_disk, end = fields[4] or disk, fields[5] or its_disk, zip64
        if fields[0] != b"PK\6\6" or not agree or zip64 + 12 + fields[1] != size - 42:
            raise FormatError(f"{path}: the two ends of the zip contradict each other")
    if disk or its_disk or here != count or offset + length != end:
        raise FormatError(f"{path}: the directory of the zip ({length} bytes at {offset}) does not reach its end at {end}")
    return count, length, offset


def _central_header(path, data, file, limit):
    """(name, Member, bytes) of the entry that `data` begins with; its member must end before `limit`."""
    if len(data) < 46 or data[:4] != b"PK\1\2":
        raise FormatError(f"{path}: the directory of the zip ends inside an entry")
    flags, method, packed, size, n_name, n_extra, n_comment, disk, header = struct.unpack("<8x2H8x2L4H6xL", data[:46])
    length = 46 + n_name + n_extra + n_comment
    if len(data) < length:
        raise FormatError(f"{path}: the directory of the zip ends inside an entry")
    raw, extra = bytes(data[46 : 46 + n_name]), bytes(data[46 + n_name : 46 + n_name + n_extra])
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise FormatError(f"{path}: member {shown(raw)}: its name is not UTF-8") from None
    size, packed, header = _zip64_values(path, name, extra, size, packed, header)
    if flags & 1 or method or disk:
        obstacle = "encrypted" if flags & 1 else "on another disk" if disk else f"compressed by method {method}"
        raise FormatError(f"{path}: member {shown(name)} is {obstacle}; torch.save stores members as they are: {_AGAIN}")
    if packed != size:
        raise FormatError(f"{path}: member {shown(name)}: {packed} bytes stored, but {size} of content")
    begin = _local_header(path, name, raw, size, file, header, limit)
    return name, Member(header, begin, size), length


def _zip64_values(path, name, extra, *values):
    """The sizes and the offset, those that are all ones replaced by the extra field 1."""
    at, wide = 0, b""
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + length]
        at += 4 + length
    resolved = []
    for value in values:
        if value == 0xFFFFFFFF:
            if len(wide) < 8:
                raise FormatError(f"{path}: member {shown(name)}: its size is not told")
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        resolved.append(value)
    return resolved


def _local_header(path, name, raw, size, file, header, limit):
    """Offset of a member's data, behind a header that says the same as the directory."""
    data = _bytes_at(path, file, header, 30, limit)
    signature, flags, method, packed, own, n_name, n_extra = struct.unpack("<4s2x2H8x2L2H", data)
    begin = header + 30 + n_name + n_extra
    sizes_follow = flags & 8 and packed == own == 0  # behind the data, which the directory repeats
    same_sizes = sizes_follow or all(value in (size, 0xFFFFFFFF) for value in (packed, own))
    if signature != b"PK\3\4" or method or flags & 1 or not same_sizes or file.read(n_name) != raw:
        raise FormatError(f"{path}: member {shown(name)}: its header at offset {header} contradicts the directory")
    if begin + size > limit:
        raise FormatError(f"{path}: member {shown(name)}: {size} bytes at offset {begin} reach beyond {limit}, where the directory begins")
    return begin


def _check_no_overlap(path, members):
    end = 0
    for name, member in sorted(members.items(), key=lambda item: item[1]):
        if member.header < end:
            raise FormatError(f"{path}: member {shown(name)}: overlaps the one before")
        end = member.begin + member.size


def _strip_folder(path, members):
    folders = {name.split("/")[0] for name in members}
    if len(folders) != 1 or not all("/" in name for name in members):
        raise FormatError(f"{path}: its members do not lie in one folder: not a PyTorch weight file")
    (folder,) = folders
    inside = {name[len(folder) + 1 :]: member for name, member in members.items()}
    if "constants.pkl" in inside:
        raise FormatError(f"{path}: a TorchScript program, not weights; save the model's state_dict()")
    if "data.pkl" not in inside:
        raise FormatError(f"{path}: no data.pkl in it: not a PyTorch weight file")
    return inside


def _content(path, file, members, name, most):
    member = members[name]
    if member.size > most:
        raise FormatError(f"{path}: {name} has {member.size} bytes; at most {most} are read")
    return _bytes_at(path, file, member.begin, member.size, member.begin + member.size)


def _bytes_at(path, file, offset, count, limit):
    """`count` bytes of the file, all of them before `limit`."""
    if offset < 0 or offset + count > limit:
        raise FormatError(f"{path}: {count} bytes at offset {offset} are not in the zip: was it cut off?")
    file.seek(offset)
    data = file.read(count)
    if len(data) != count:
        raise FormatError(f"{path}: the file ends inside the {count} bytes at offset {offset}")
    return data
