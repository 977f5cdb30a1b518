"""Rows of Parquet and Arrow files, by pyarrow: the extra [data].

    read_arrow     a Parquet file in memory; an Arrow file, or a stream as `datasets` keeps it, mapped
    ParquetRows    a Parquet file left on the disk: rows are drawn from anywhere, and a group of rows, of which Parquet's pages are made,
                   is far too much to decode for one. So they are copied once into
    .DATA.parquet.rows   an Arrow file of batches of `every` rows, some 16 KiB each, of which one is read at a time; its schema's
                         metadata have "t0rows": size, time (ns) and rows of DATA.parquet, and "t0every"

The copy is made anew when size or time of the file differ or when it is damaged; a temporary one where none can be written."""

import contextlib
import os
import tempfile
import threading
from pathlib import Path

from t0native.base.errors import ConfigError, DataError
from t0native.base.files import make_folder, replacing
from t0native.data.distributed import convert_row
from t0native.data.lines import require_rows

__all__ = ["ArrowRows", "ParquetRows", "parquet_bytes", "read_arrow"]

BATCH_BYTES = 16 << 10  # of the copy's batches
READ_BYTES = 4 << 20  # decoded at once while it is made
SAMPLE = 256  # rows whose size is measured
FACTS, EVERY = b"t0rows", b"t0every"
_BROKEN = (OSError, ValueError, RuntimeError)  # pyarrow's own errors are such


class ArrowRows:
    """Rows of a pyarrow Table by number, made into a dict when asked for. column_names: its fields."""

    def __init__(self, table):
        self._table, self.column_names = table, table.column_names

    def __len__(self):
        return self._table.num_rows

    def __getitem__(self, i):
        return self._table.slice(_row_index(i, len(self)), 1).to_pylist()[0]


def read_arrow(path):
    """The rows of a Parquet file, or of an Arrow file or stream (mapped), an ArrowRows. ConfigError without pyarrow, DataError
    for a broken or empty file, OSError where it cannot be opened."""
    pyarrow, ipc, parquet = _pyarrow(path)
    with _naming_errors(pyarrow, path):
        rows = ArrowRows(parquet.read_table(path, partitioning=None) if Path(path).suffix == ".parquet" else _map_table(pyarrow, ipc, path))
    return require_rows(path, rows)


class ParquetRows:
    """Rows of a Parquet file by number, from any thread; see `diskrows.open_rows`."""

    def __init__(self, path, dataset=None, index=None):
        self.path, self.dataset = Path(path), dataset
        self._lock, self._last = threading.Lock(), (None, None)
        self._place = (self.path.parent if index is None else Path(index)) / f".{self.path.name}.rows"
        self._len, self._batches, self._every = _open_or_copy(self.path, self._place)

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
        return convert_row(self.dataset, batch.slice(place, 1).to_pylist()[0], self.path)

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
        raise DataError(f"{path}: not a {Path(path).suffix[1:]} file that pyarrow can read ({str(error).splitlines()[0]})") from None


def _map_table(pyarrow, ipc, path):
    source = pyarrow.memory_map(str(path))
    try:
        return ipc.open_file(source).read_all()
    except pyarrow.ArrowInvalid:  # `datasets` caches are streams
        source.seek(0)
        return ipc.open_stream(source).read_all()


def _bytes_of(facts):
    """facts: a Parquet file's metadata. Pages of a dictionary say too little of what they unfold to: 8 bytes a cell at least."""
    return max(sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups)), 8 * facts.num_rows * facts.num_columns)


def _open_or_copy(path, place):
    """(rows, reader of the copy's batches, rows of a batch)."""
    pyarrow, ipc, parquet = _pyarrow(path)
    stat = os.stat(path)
    with _naming_errors(pyarrow, path):
        source = parquet.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False)
    with source:
        n = len(require_rows(path, range(source.metadata.num_rows)))
        facts = f"{stat.st_size} {stat.st_mtime_ns} {n}".encode()
        with contextlib.suppress(*_BROKEN):
            return n, *_open_copy(pyarrow, ipc, place, facts)
        try:
            make_folder(place.parent)
            with replacing(place, "wb") as out:
                _write(pyarrow, ipc, source, path, out, facts)
        except OSError:
            with tempfile.NamedTemporaryFile(suffix=place.name) as out:
                _write(pyarrow, ipc, source, path, out, facts)
                out.flush()
                return n, *_open_copy(pyarrow, ipc, out.name, facts)  # its name goes, the open file stays
        return n, *_open_copy(pyarrow, ipc, place, facts)


def _open_copy(pyarrow, ipc, place, facts):
    """(reader of the batches of a copy, rows of each); ValueError where it is another file's, an older one's, or damaged."""
    reader = ipc.open_file(pyarrow.OSFile(str(place)))
    metadata = reader.schema.metadata or {}
    every = int(metadata.get(EVERY, 0))
    if metadata.get(FACTS) != facts or every < 1:
        raise ValueError(place)
    return reader, every


def _write(pyarrow, ipc, source, path, out, facts):
    with _naming_errors(pyarrow, path):
        sample = _decode_dictionaries(pyarrow, pyarrow.Table.from_batches([next(source.iter_batches(SAMPLE))]))
    row = max(1, sample.nbytes // len(sample))
    every = min(1024, max(1, BATCH_BYTES // row))
    metadata = {FACTS: facts, EVERY: str(every).encode()}
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
