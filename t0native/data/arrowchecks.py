"""What pyarrow reads is checked before a value of it is believed, and what it says of broken data is said as DataError.

Arrow's readers trust what a file, or a foreign program, says of itself: an offset that points out of its buffer is read there, which
ends the process. So each batch is validated in full when it is opened (pyarrow's validate: buffers are long enough, offsets and
numbers of dictionaries in range, texts UTF-8), column by column, and rows are made of what was validated.

A mapped file stays valid only as long as nobody writes into it: `MappedFile.check` tells, before each row, a file that was cut or
written to since. Between that look and the row there is a moment in which cutting it still ends the process, as with any mapping."""

import contextlib
import mmap
import os

from t0native.base.errors import ConfigError, DataError
from t0native.base.showing import printable, shown

__all__ = ["MappedFile", "check_batch", "check_column", "check_table", "naming_errors", "row_of", "rows_of_batch"]

RELEASE = 16 << 20  # bytes validated of a mapped file before their pages go back to the system


@contextlib.contextmanager
def naming_errors(place, say=lambda what: f"cannot be read ({what})"):
    """Whatever pyarrow raises about the data, as DataError with the place. say: the rest of the message, of the library's words."""
    try:
        yield
    except (DataError, ConfigError):
        raise
    except Exception as error:  # of any kind: broken data reaches decoders of texts, dates, time zones, extension types
        if type(error) is MemoryError:
            raise
        raise DataError(f"{place}: {say(_words(error))}") from None


def check_column(place, column):
    """The column, an Array or a ChunkedArray, all of whose values can be read; else DataError. place: of the column."""
    with naming_errors(place, lambda what: f"broken ({what}); fetch or write it again"):
        column.validate(full=True)
    return column


def check_batch(place, batch, first=0):
    """The RecordBatch, or Table, all of whose values can be read; else DataError with rows and column. first: number of its first row."""
    where = f"{place}, rows {first} to {first + len(batch) - 1}"
    with naming_errors(where, lambda what: f"broken ({what}); fetch or write it again"):
        batch.validate()
        names = batch.schema.names
    for name, column in zip(names, batch.columns):
        check_column(f"{where}: {shown(name)}", column)
    return batch


def check_table(place, table):
    """The Table, as check_batch."""
    first = 0
    with naming_errors(place):
        batches = table.to_batches()
    for batch in batches:
        check_batch(place, batch, first)
        first += len(batch)
    return table


def row_of(place, table, i, number=None):
    """Row i of a table or batch that was checked, a dict; DataError with row and field where Python has no such value (a date beyond the
    year 9999). number: of the row in messages, or i."""
    try:
        return table.slice(i, 1).to_pylist()[0]
    except MemoryError:
        raise
    except Exception as error:  # as in naming_errors
        where = f"{place}, row {i if number is None else number}"
        name = next((f"{shown(name)}: " for name, column in zip(table.column_names, table.columns) if _fails(column, i)), "")
        raise DataError(f"{where}: {name}no value of Python ({_words(error)}); leave the field out, or write it as text") from None


def rows_of_batch(place, batch, first=0):
    """All rows of a batch or table that was checked; errors as row_of's."""
    try:
        return batch.to_pylist()
    except MemoryError:
        raise
    except Exception:  # which row it is, is found now
        return [row_of(place, batch, i, first + i) for i in range(len(batch))]


class MappedFile:
    """A file whose bytes are mapped into memory, for reading. source: a pyarrow BufferReader of it."""

    def __init__(self, pyarrow, path):
        self.path = os.fspath(path)
        with open(path, "rb") as file:
            stat = os.fstat(file.fileno())
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # which keeps the file open
        self._file, self._time, self._size = (stat.st_ino, stat.st_dev), stat.st_mtime_ns, len(self._map)
        self.source = pyarrow.BufferReader(pyarrow.py_buffer(self._map))

    def check(self):
        """DataError where the file was cut or written to since it was opened. One that stands in its place by now is another matter."""
        changed = self._map.size() != self._size
        try:
            stat = os.stat(self.path)
            changed = changed or (stat.st_mtime_ns != self._time and (stat.st_ino, stat.st_dev) == self._file)
        except OSError:  # its name is gone, the file stays
            pass
        if changed:
            raise DataError(f"{self.path}: changed since it was opened, so its rows are not those that were promised; open it again")

    def release(self):
        """What was read of it may leave the memory; it is read again when it is asked for."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


# ---- inside ---------------------------------------------------------------------------------------------------------


def _words(error):
    """What an exception says, in one line."""
    return printable(next((line for line in str(error).splitlines() if line.strip()), "")) or type(error).__name__


def _fails(column, i):
    try:
        column.slice(i, 1).to_pylist()
    except Exception:
        return True
    return False
