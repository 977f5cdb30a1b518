"""What arguments are, as type checkers know it. Nothing here runs: values are judged by arguments.py and by who takes them.

    PathName  the name of a file or folder
    Row       field names -> values;  Rows: rows in any form that data/frames.py reads
    Ids       one sequence of token ids;  Item: a text or such ids;  Many: several of them
    Column    texts, or lists, that a library holds: pyarrow, pandas, polars;  Table: a data frame or table of one

A NumPy array of integers is one sequence or several by its shape, which types do not tell: what a method gives for it is Any."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Column", "Ids", "Item", "Many", "PathName", "Progress", "PromptLike", "Ranks", "Row", "RowSequence", "Rows", "Table"]

PathName: TypeAlias = str | os.PathLike[str]
Row: TypeAlias = Mapping[str, Any]
Ids: TypeAlias = list[int] | tuple[int, ...]
Item: TypeAlias = str | Ids
Array: TypeAlias = NDArray[np.integer[Any]]
Progress: TypeAlias = Callable[[int, int], object]  # (done, total)


class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object = None) -> Any: ...


class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object = None) -> Any: ...


class _Frame(Protocol):
    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any: ...


class _RowsByNumber(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> Row: ...


class RowSequence(Protocol):
    """What reading gives: rows by number, one after the other."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, i: SupportsIndex, /) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, i: slice, /) -> Sequence[dict[str, Any]]: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...


Column: TypeAlias = _ArrowArray | _ArrowStream
Many: TypeAlias = Iterable[Item | Array] | Column
Table: TypeAlias = _ArrowStream | _Frame
Rows: TypeAlias = Sequence[Row] | _RowsByNumber | Iterator[Row] | Mapping[str, Any] | Table


class PromptLike(Protocol):
    """A Prompt, or what stands in its place: an objective on plain text, a prompt with shots."""

    def render(self, row: Any, /, seed: int = 0, index: int = 0) -> Any: ...


class Ranks(Protocol):
    """A Model, or anything else that judges choices; `evaluate` says with which keywords it is called."""

    @property
    def rank(self) -> Callable[..., Any]: ...
