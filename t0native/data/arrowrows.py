"""Rows of Parquet, Arrow and Feather files, by pyarrow: the extra [data]. What becomes of their columns, arrowcolumns.py says.

    read_arrow     a Parquet file in memory; an Arrow file, or a stream as `datasets` keeps it, mapped; a packed one in memory
    ParquetRows    a Parquet file left on the disk: rows are drawn from anywhere, and a group of rows, of which Parquet's pages are made,
                   is far too much to decode for one. So they are copied once into
    .DATA.parquet.rows   an Arrow file of batches of `every` rows, some 16 KiB each, of which one is read at a time; its schema's
                         metadata have "t0rows": size, time (ns) and rows of DATA.parquet, "t0every", and "t0types": the types
                         that were told, and what the columns become

The copy is made anew when size or time of the file differ or when it is damaged; a temporary one where none can be written."""

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
from t0native.data.arrowcolumns import ArrowColumns
from t0native.data.distributed import convert_row
from t0native.data.layouts import name_of
from t0native.data.lines import require_distinct, require_rows
from t0native.data.types import types_of_rows
from t0native.data.unpacking import ending_of, open_unpacked, rows_ending

__all__ = ["ArrowRows", "ParquetRows", "parquet_bytes", "read_arrow"]

BATCH_BYTES = 16 << 10  # of the copy's batches
READ_BYTES = 4 << 20  # decoded at once while it is made
SAMPLE = 256  # rows whose size is measured
LOOK = 1 << 16  # rows whose values are looked at together
FACTS, EVERY, TYPES = b"t0rows", b"t0every", b"t0types"
_BROKEN = (OSError, ValueError, RuntimeError)  # pyarrow's own errors are such


class ArrowRows:
    """Rows of a pyarrow Table by number, made into a dict when asked for. functions: {field: what its values become}.  column_names: its
    fields."""

    def __init__(self, table, functions=()):
        self._table, self._functions, self.column_names = table, dict(functions), table.column_names

    def __len__(self):
        return self._table.num_rows

    def __getitem__(self, i):
        return _converted(self._table.slice(_row_index(i, len(self)), 1).to_pylist()[0], self._functions)


def read_arrow(paths, types=None, dataset=None):
    """The rows of a Parquet or Feather file, of an Arrow file or stream (mapped), or of several that are one table, an ArrowRows.
    types, dataset: as `read_rows`'. ConfigError without pyarrow, DataError for a broken or empty file, OSError where none can be opened."""
    paths = [Path(paths)] if isinstance(paths, (str, os.PathLike)) else list(map(Path, paths))
    pyarrow, ipc, parquet = _pyarrow(paths[0])
    tables = [_read_table(pyarrow, ipc, parquet, path) for path in paths]
    try:
        table = tables[0] if len(tables) == 1 else pyarrow.concat_tables(tables, promote_options="permissive")
    except pyarrow.ArrowException as error:
        raise DataError(f"{name_of(paths)}: not one table ({str(error).splitlines()[0]})") from None
    require_rows(paths[0], table)
    about = _columns_of(pyarrow, name_of(paths), table.schema, types, dataset, table.slice(0, 1).to_pylist()[0])
    for first in range(0, len(table) if about.open_names else 0, LOOK):
        about.look(table.slice(first, LOOK).select(about.open_names), first)
    return ArrowRows(table, about.functions(about.decide()))


class ParquetRows:
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

    def __getitem__(self, i):
        number, place = divmod(_row_index(i, len(self)), self._every)
        with self._lock:
            if self._last[0] != number:
                self._last = number, self._batch(number)
            batch = self._last[1]
        row = _converted(batch.slice(place, 1).to_pylist()[0], self._functions)
        return convert_row(self.dataset, row, self.path)

    def _batch(self, number):
        try:
            batch = self._batches.get_batch(number)
            batch.validate(full=True)  # what it says of itself is believed by what reads it
            return batch
        except _BROKEN:
            raise DataError(f"{self._place}: changed since it was opened; open {self.path} again") from None


def parquet_bytes(path):
    """About what the rows of a Parquet file take in memory. Errors as read_arrow's."""
    pyarrow, _, parquet = _pyarrow(path)
    with _naming_errors(pyarrow, path):
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


def _row_index(i, n):
    """From 0, of the i-th of n rows."""
    if not -n <= i < n:
        raise IndexError(f"row {i} of {n}")
    return int(i) % n


def _pyarrow(path):
    try:
        import pyarrow
        from pyarrow import ipc, parquet
    except ImportError:
        raise ConfigError(f"{path}: Parquet and Arrow files need pyarrow: pip install 't0native[data]'") from None
    open(path, "rb").close()  # an OSError that names the file
    return pyarrow, ipc, parquet


@contextlib.contextmanager
def _naming_errors(pyarrow, path):
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        what = stand_in(_first_bytes(path)) or str(error).splitlines()[0]
        raise DataError(f"{path}: not a {ending_of(path)[0][1:]} file that pyarrow can read ({what})") from None


def _first_bytes(path):
    with open(path, "rb") as file:
        return file.read(64)


def _read_table(pyarrow, ipc, parquet, path):
    _first_bytes(path)  # an OSError that names the file
    ending, packing = rows_ending(path), ending_of(path)[1]
    with _naming_errors(pyarrow, path):
        if packing:
            with open_unpacked(path) as file:
                source = pyarrow.BufferReader(file.read())
        else:
            source = pyarrow.memory_map(str(path))
        if ending == ".parquet":
            require_distinct(path, parquet.read_schema(source).names)
            return parquet.read_table(source if packing else path, partitioning=None)
        return _read_ipc(pyarrow, ipc, source)


def _read_ipc(pyarrow, ipc, source):
    try:
        return ipc.open_file(source).read_all()
    except pyarrow.ArrowInvalid:  # `datasets` caches are streams
        source.seek(0)
        return ipc.open_stream(source).read_all()


def _bytes_of(facts):
    """facts: a Parquet file's metadata. Pages of a dictionary say too little of what they unfold to: 8 bytes a cell at least."""
    return max(sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups)), 8 * facts.num_rows * facts.num_columns)


def _open_or_copy(path, place, types, dataset):
    """(rows, reader of the copy's batches, rows of a batch, {field: what its values become})."""
    pyarrow, ipc, parquet = _pyarrow(path)
    stat = os.stat(path)
    with _naming_errors(pyarrow, path):
        source = parquet.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False)
    with source:
        n = len(require_rows(path, range(source.metadata.num_rows)))
        facts = f"{stat.st_size} {stat.st_mtime_ns} {n}".encode()
        require_distinct(path, source.schema_arrow.names)
        with _naming_errors(pyarrow, path):
            row = next(source.iter_batches(1)).to_pylist()[0]
        types = types_of_rows(types, dataset, row)
        about = ArrowColumns.of_schema(pyarrow, path, source.schema_arrow, types)
        with contextlib.suppress(*_BROKEN):
            return n, *_open_copy(pyarrow, ipc, place, facts, about, types)
        metadata = {FACTS: facts, TYPES: json_text([types.key, _decide(pyarrow, source, path, about)], "keep").encode()}
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


def _decide(pyarrow, source, path, about):
    """What the columns become, by one reading of those that their values decide."""
    first = 0
    if about.open_names:
        with _naming_errors(pyarrow, path):
            for batch in source.iter_batches(LOOK, columns=about.open_names):
                about.look(batch, first)
                first += len(batch)
    return about.decide()


def _open_copy(pyarrow, ipc, place, facts, about, types):
    """(reader of the batches of a copy, rows of each, functions of the columns); ValueError where it is another file's, one under other
    types, an older one's, or damaged."""
    reader = ipc.open_file(pyarrow.OSFile(str(place)))
    metadata = reader.schema.metadata or {}
    every = int(metadata.get(EVERY, 0))
    if metadata.get(FACTS) != facts or every < 1:
        raise ValueError(place)
    key, decided = json.loads(metadata.get(TYPES, b"[null, null]"))
    if key != json.loads(json_text(types.key, "keep")):
        raise ValueError(place)
    return reader, every, about.functions(decided)


def _write(pyarrow, ipc, source, path, out, metadata):
    with _naming_errors(pyarrow, path):
        sample = _decode_dictionaries(pyarrow, pyarrow.Table.from_batches([next(source.iter_batches(SAMPLE))]))
    row = max(1, sample.nbytes // len(sample))
    every = min(1024, max(1, BATCH_BYTES // row))
    metadata = metadata | {EVERY: str(every).encode()}
    with ipc.new_file(out, sample.schema.with_metadata(metadata)) as sink:
        for table in _tables(pyarrow, source, path, every, min(1 << 16, max(every, READ_BYTES // row))):
            sink.write_table(table.replace_schema_metadata(metadata), max_chunksize=every)


def _tables(pyarrow, source, path, every, at_once):
    """Tables whose rows are the source's, in order, each but the last a multiple of `every` rows long."""
    rest = None
    with _naming_errors(pyarrow, path):
        for batch in source.iter_batches(at_once):
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
