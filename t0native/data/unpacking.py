"""Files as they lie, packed or not: the bytes of what is inside, read as a stream.

    rows.csv          as it is
    rows.csv.gz       .gz .bz2 .xz by the standard library; .zst by it (Python 3.14), by zstandard or by pyarrow
    rows.csv.zip      the one file of rows in it; what lies in "rows.zip" has an ending of its own

What is inside is read to its end but never written; a packed file is no larger in memory than what its reader keeps."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import zipfile
import zlib
from pathlib import Path

from t0native.base.errors import ConfigError, DataError
from t0native.base.showing import listed, printable, shown

__all__ = ["ARROW_ENDINGS", "PACKINGS", "ROW_ENDINGS", "TEXT_ENDINGS", "ending_of", "is_rows", "open_unpacked", "rows_ending"]

TEXT_ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
ARROW_ENDINGS = (".parquet", ".arrow", ".feather")
ROW_ENDINGS = TEXT_ENDINGS + ARROW_ENDINGS
PACKINGS = (".gz", ".bz2", ".xz", ".zst", ".zip")
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)


def ending_of(path):
    """(the ending that says what the rows are written in, the ending of its packing), each "" where there is none.

    >>> ending_of("a/rows.CSV.gz"), ending_of("rows.zip"), ending_of("rows.jsonl"), ending_of("rows.tar")
    (('.csv', '.gz'), ('', '.zip'), ('.jsonl', ''), ('.tar', ''))
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in PACKINGS:
        return ending, ""
    inner = Path(path.stem).suffix.lower()
    return (inner if inner in ROW_ENDINGS else ""), ending


def is_rows(path):
    """Whether a file's name says that rows are in it.

    >>> [is_rows(name) for name in ("a.jsonl", "a.csv.gz", "a.zip", "a.txt", ".a.csv.rows")]
    [True, True, True, False, False]
    """
    ending, packing = ending_of(path)
    return ending in ROW_ENDINGS or packing == ".zip"


@contextlib.contextmanager
def open_unpacked(path):
    """A binary file of what is inside. DataError where its packing is broken, or a .zip has not one file of rows in it; ConfigError
    where nothing that reads it is installed; OSError where it cannot be opened."""
    if not isinstance(path, (str, os.PathLike)):  # open() would take a number as a descriptor
        raise DataError(f"{shown(path)}: must be the name of a file")
    ending, packing = ending_of(path)
    if not packing:
        with open(path, "rb") as file:
            yield file
        return
    open(path, "rb").close()  # an OSError that names the file
    with _naming_errors(path, packing), _OPENERS[packing](path) as file:
        yield file


def rows_ending(path):
    """The ending of the rows in a file, of a .zip that of its member. Errors as `open_unpacked`'s.

    >>> rows_ending("rows.jsonl.xz")
    '.jsonl'
    """
    ending, packing = ending_of(path)
    return ending_of(_member_of_zip(path))[0] if packing == ".zip" else ending


# ---- inside ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _naming_errors(path, packing):
    try:
        yield
    except (DataError, ConfigError):
        raise
    except (*_BROKEN, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        what = printable(str(error)) or type(error).__name__
        raise DataError(f"{path}: broken, or no {packing} file ({what}); fetch or pack it again") from None


def _member_of_zip(path):
    """The name of the one file of rows in a .zip; DataError where there is none, or several."""
    with _naming_errors(path, ".zip"), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    rows = [name for name in names if ending_of(name)[0] in ROW_ENDINGS and not ending_of(name)[1]]
    if len(rows) != 1:
        what = f"{len(rows)} files of rows ({listed(rows, 8)})" if rows else f"no file of rows ({listed(names, 8) or 'nothing'})"
        raise DataError(f"{path}: {what} in it; there must be one, as rows.csv or rows.jsonl: unpack it and name the file")
    return rows[0]


def _open_zst(path):
    for opener in (_zst_of_python, _zst_of_zstandard, _zst_of_pyarrow):
        with contextlib.suppress(ImportError):
            return opener(path)
    raise ConfigError(f"{path}: .zst files need pyarrow or zstandard: pip install pyarrow")


def _zst_of_python(path):
    from compression import zstd

    return zstd.open(path, "rb")


def _zst_of_zstandard(path):
    import zstandard

    return zstandard.open(path, "rb")


def _zst_of_pyarrow(path):
    import pyarrow

    return io.BufferedReader(pyarrow.input_stream(str(path), compression="zstd"))


@contextlib.contextmanager
def _open_zip(path):
    with zipfile.ZipFile(path) as archive, archive.open(_member_of_zip(path)) as file:
        yield file


_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _open_zst, ".zip": _open_zip}
