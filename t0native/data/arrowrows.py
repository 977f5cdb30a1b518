"""Rows of Parquet, Arrow and Feather files, by pyarrow. What becomes of their columns, arrowcolumns.py says.

    read_arrow     a Parquet file in memory; an Arrow file, or a stream as `datasets` keeps it, mapped; a packed or compressed one in memory
    iter_parquet   a Parquet file from its first row to its last, batch by batch
    ParquetRows    a Parquet file left on the disk: rows are drawn from anywhere, and a group of rows, of which Parquet's pages are made,
                   is far too much to decode for one. So they are copied once into
    .DATA.parquet.rows   an Arrow file of batches of `every` rows, some 16 KiB each, of which one is read at a time; its schema's
                         metadata have "t0rows": size, time (ns) and rows of DATA.parquet, "t0every", and "t0types": the types
                         that were told, and what the columns become

The copy is made anew when size or time of the file differ or when its beginning or end are damaged; a temporary one where none can be
written. Whatever is read is checked before a value of it is believed (arrowchecks.py)."""

import bisect
import contextlib
import json
import os
import tempfile
import threading
from pathlib import Path

from t0native.base.errors import ConfigError, DataError
from t0native.base.files import make_folder, replacing
from t0native.base.jsontext import json_text
from t0native.base.placeholders import stand_in
from t0native.data.arrowchecks import RELEASE, MappedFile, check_batch, check_table, naming_errors, row_of, rows_of_batch
from t0native.data.arrowcolumns import ArrowColumns
from t0native.data.distributed import convert_row
from t0native.data.layouts import name_of
from t0native.data.lines import require_distinct, require_rows
from t0native.data.numbered import NumberedRows
from t0native.data.types import types_of_rows
from t0native.data.unpacking import ending_of, open_unpacked, rows_ending

__all__ = ["ArrowRows", "ParquetRows", "iter_parquet", "parquet_bytes", "read_arrow"]

BATCH_BYTES = 16 << 10  # of the copy's batches
READ_BYTES = 4 << 20  # decoded at once while it is made
SAMPLE = 256  # rows whose size is measured
LOOK = 1 << 16  # rows whose values are looked at together
FACTS, EVERY, TYPES = b"t0rows", b"t0every", b"t0types"
ARROW_FILE = b"ARROW1"  # how one begins that is no stream
_BROKEN = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, MemoryError)  # of a copy that is none


class ArrowRows(NumberedRows):
    """Rows of a pyarrow Table that was checked, by number, made into a dict when asked for. functions: {field: what its values become}.
    parts: [(file, number of its first row, its MappedFile or None)] of the files that are one after the other in it.  column_names: its
    fields."""

    def __init__(self, table, functions=(), parts=(("rows", 0, None),)):
        self._table, self._functions, self.column_names = table, dict(functions), table.column_names
        self._parts, self._firsts = list(parts), [first for _, first, _ in parts]

    def __len__(self):
        return self._table.num_rows

    def _row(self, i):
        path, first, mapped = self._parts[bisect.bisect_right(self._firsts, i) - 1]
        if mapped is not None:
            mapped.check()
        return _converted(row_of(path, self._table, i, i - first), self._functions)


def read_arrow(paths, types=None, dataset=None):
    """The rows of a Parquet or Feather file, of an Arrow file or stream (mapped), or of several that are one table, an ArrowRows.
    types, dataset: as `read_rows`'. ConfigError without pyarrow, DataError for a broken or empty file, OSError where none can be opened.
    Every value is checked: about 0.4 s of processor time a GB, of a mapped file without keeping it in memory."""
    paths = [Path(paths)] if isinstance(paths, (str, os.PathLike)) else list(map(Path, paths))
    pyarrow, ipc, parquet = _pyarrow(paths[0])
    tables, parts = [], []
    for path in paths:
        table, mapped = _read_table(pyarrow, ipc, parquet, path)
        if len(table) or len(paths) == 1:
            parts.append((path, sum(map(len, tables)), mapped))
        tables.append(table)
    place = name_of(paths)
    with naming_errors(place, lambda what: f"not one table ({what})"):
        table = tables[0] if len(tables) == 1 else pyarrow.concat_tables(tables, promote_options="permissive")
    require_rows(paths[0], table)
    about = _columns_of(pyarrow, place, table.schema, types, dataset, row_of(place, table, 0))
    for first in range(0, len(table) if about.open_names else 0, LOOK):
        about.look(table.slice(first, LOOK).select(about.open_names), first)
    return ArrowRows(table, about.functions(about.decide()), parts)


class ParquetRows(NumberedRows):
    """Rows of a Parquet file by number, from any thread; see `diskrows.open_rows`."""

    def __init__(self, path, dataset=None, index=None, types=None):
        self.path, self.dataset = Path(path), dataset
        self._lock, self._last = threading.Lock(), (None, None)
        self._place = (self.path.parent if index is None else Path(index)) / f".{self.path.name}.rows"
        self._len, self._batches, self._every, self._functions = _open_or_copy(self.path, self._place, types, dataset)

    def __repr__(self):
        return f"ParquetRows({str(self.path)!r}, {len(self):,} rows)"

    def __len__(self):
        return self._len

    def _row(self, i):
        number, place = divmod(i, self._every)
        with self._lock:
            if self._last[0] != number:
                self._last = number, self._batch(number)
            batch = self._last[1]
        row = _converted(row_of(self.path, batch, place, number * self._every + place), self._functions)
        return convert_row(self.dataset, row, self.path)

    def _batch(self, number):
        """The batch of this number, checked: it is read anew from a file that others may write to."""
        first = number * self._every
        remedy = f"delete it and open {self.path} again, which makes it anew"
        with naming_errors(self._place, lambda what: f"changed since it was opened (rows from {first}: {what}); {remedy}"):
            batch = self._batches.get_batch(number)
            batch.validate(full=True)
            if len(batch) != min(self._every, len(self) - first):
                raise ValueError(f"{len(batch)} rows")
            return batch


def iter_parquet(path, types=None):
    """(number of rows, function that gives an iterator of them) of a Parquet file that is read in order, a few at a time. types: as
    `read_rows`'. Errors as read_arrow's."""
    pyarrow, _, parquet = _pyarrow(path)

    def opened():
        with _naming_file(path):
            return parquet.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False)

    with opened() as source:
        with _naming_file(path):
            n = len(require_rows(path, range(source.metadata.num_rows)))
            row = row_of(path, next(_batches(source, path, 1)), 0)
            about = _columns_of(pyarrow, path, source.schema_arrow, types, None, row)
            every = min(1 << 16, max(1, READ_BYTES * n // _bytes_of(source.metadata)))
        functions = about.functions(_decide(source, path, about))

    def start():
        first = 0
        with opened() as source:
            for batch in _batches(source, path, every):
                for row in rows_of_batch(path, batch, first):
                    yield _converted(row, functions)
                first += len(batch)

    return n, start


def parquet_bytes(path):
    """About what the rows of a Parquet file take in memory. Errors as read_arrow's."""
    pyarrow, _, parquet = _pyarrow(path)
    with _naming_file(path):
        return _bytes_of(parquet.read_metadata(path))


# ---- inside ---------------------------------------------------------------------------------------------------------


def _converted(row, functions):
    for name, function in functions.items():
        row[name] = function(row[name])
    return row


def _columns_of(pyarrow, place, schema, types, dataset, row):
    """The ArrowColumns of a table of which this is the first row."""
    require_distinct(place, schema.names)
    return ArrowColumns.of_schema(pyarrow, place, schema, types_of_rows(types, dataset, row))


def _pyarrow(path):
    try:
        import pyarrow
        from pyarrow import ipc, parquet
    except ImportError:
        raise ConfigError(f"{path}: Parquet and Arrow files need pyarrow: pip install pyarrow") from None
    open(path, "rb").close()  # an OSError that names the file
    return pyarrow, ipc, parquet


def _naming_file(path):
    """As naming_errors, for a file as a whole."""

    def say(what):
        return f"not a {ending_of(path)[0][1:]} file that pyarrow can read ({stand_in(_first_bytes(path)) or what})"

    return naming_errors(path, say)


def _first_bytes(path):
    with open(path, "rb") as file:
        return file.read(64)


def _read_table(pyarrow, ipc, parquet, path):
    """(the table of a file, checked; its MappedFile or None)."""
    _first_bytes(path)  # an OSError that names the file
    ending, packing = rows_ending(path), ending_of(path)[1]
    mapped, source = None, path
    if packing:
        with open_unpacked(path) as file:
            source = pyarrow.BufferReader(file.read())
    with _naming_file(path):
        if ending == ".parquet":
            require_distinct(path, parquet.read_schema(source).names)
            return check_table(path, parquet.read_table(source, partitioning=None)), None
        if not packing:
            mapped = MappedFile(pyarrow, path)
            source = mapped.source
        return _read_ipc(pyarrow, ipc, path, source, mapped), mapped


def _read_ipc(pyarrow, ipc, path, source, mapped):
    """The table of an Arrow file, or of a stream, as the caches of `datasets` are, batch by batch."""
    is_file = source.read(len(ARROW_FILE)) == ARROW_FILE
    source.seek(0)
    reader = ipc.open_file(source) if is_file else ipc.open_stream(source)
    require_distinct(path, reader.schema.names)
    batches, first, read = [], 0, 0
    for batch in map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader:
        batches.append(check_batch(path, batch, first))
        first += len(batch)
        read += batch.nbytes
        if mapped is not None and read >= RELEASE:
            mapped.release()
            read = 0
    return pyarrow.Table.from_batches(batches, reader.schema)


def _bytes_of(facts):
    """facts: a Parquet file's metadata. Pages of a dictionary say too little of what they unfold to: 8 bytes a cell at least."""
    return max(sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups)), 8 * facts.num_rows * facts.num_columns)


def _open_or_copy(path, place, types, dataset):
    """(rows, reader of the copy's batches, rows of a batch, {field: what its values become})."""
    pyarrow, ipc, parquet = _pyarrow(path)
    stat = os.stat(path)
    with _naming_file(path):
        source = parquet.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False)
    with source:
        with _naming_file(path):
            n = len(require_rows(path, range(source.metadata.num_rows)))
            require_distinct(path, source.schema_arrow.names)
            row = row_of(path, next(_batches(source, path, 1)), 0)
        facts = f"{stat.st_size} {stat.st_mtime_ns} {n}".encode()
        types = types_of_rows(types, dataset, row)
        about = ArrowColumns.of_schema(pyarrow, path, source.schema_arrow, types)
        with contextlib.suppress(*_BROKEN):
            return n, *_open_copy(pyarrow, ipc, place, facts, about, types)
        metadata = {FACTS: facts, TYPES: json_text([types.key, _decide(source, path, about)], "keep").encode()}
        try:
            make_folder(place.parent)
            with replacing(place, "wb") as out:
                _write(pyarrow, ipc, source, path, out, metadata)
        except OSError:
            with tempfile.NamedTemporaryFile(suffix=place.name) as out:
                _write(pyarrow, ipc, source, path, out, metadata)
                out.flush()
                return n, *_open_copy(pyarrow, ipc, out.name, facts, about, types)  # its name goes, the open file stays
        return n, *_open_copy(pyarrow, ipc, place, facts, about, types)


def _batches(source, path, rows, columns=None):
    """The batches of a Parquet file, checked, all of its rows; at least one."""
    first, n = 0, source.metadata.num_rows
    with _naming_file(path):
        for batch in source.iter_batches(rows, columns=columns):
            yield check_batch(path, batch, first)
            first += len(batch)
        if first != n:
            raise DataError(f"{path}: {first} rows in it, though it promises {n}; fetch or write it again")


def _decide(source, path, about):
    """What the columns become, by one reading of those that their values decide."""
    first = 0
    for batch in _batches(source, path, LOOK, about.open_names) if about.open_names else ():
        about.look(batch, first)
        first += len(batch)
    return about.decide()


def _open_copy(pyarrow, ipc, place, facts, about, types):
    """(reader of the batches of a copy, rows of each, functions of the columns); one of _BROKEN where it is another file's, one under other
    types, an older one's, or damaged."""
    reader = ipc.open_file(pyarrow.OSFile(str(place)))
    metadata = reader.schema.metadata or {}
    every = int(metadata.get(EVERY, 0))
    if metadata.get(FACTS) != facts or every < 1:
        raise ValueError(place)
    key, decided = json.loads(metadata.get(TYPES, b"[null, null]"))
    if key != json.loads(json_text(types.key, "keep")) or reader.schema.names != about.names:
        raise ValueError(place)
    return reader, every, about.functions(decided)


def _write(pyarrow, ipc, source, path, out, metadata):
    with _naming_file(path):
        sample = _decode_dictionaries(pyarrow, pyarrow.Table.from_batches([next(_batches(source, path, SAMPLE))]))
        row = max(1, sample.nbytes // len(sample))
    every = min(1024, max(1, BATCH_BYTES // row))
    metadata = metadata | {EVERY: str(every).encode()}
    with ipc.new_file(out, sample.schema.with_metadata(metadata)) as sink:
        for table in _tables(pyarrow, source, path, every, min(1 << 16, max(every, READ_BYTES // row))):
            sink.write_table(table.replace_schema_metadata(metadata), max_chunksize=every)


def _tables(pyarrow, source, path, every, at_once):
    """Tables whose rows are the source's, in order, each but the last a multiple of `every` rows long."""
    rest = None
    with _naming_file(path):
        for batch in _batches(source, path, at_once):
            table = _decode_dictionaries(pyarrow, pyarrow.Table.from_batches([batch]))
            table = table if rest is None else pyarrow.concat_tables([rest, table]).combine_chunks()
            whole = len(table) // every * every
            yield table.slice(0, whole)
            rest = table.slice(whole)
        yield rest


def _decode_dictionaries(pyarrow, table):
    """Values in the place of a dictionary's numbers: a file has one dictionary a column, and batches may differ in theirs."""
    for i, field in enumerate(table.schema):
        if pyarrow.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(field.type.value_type))
    return table
