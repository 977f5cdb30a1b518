"""Rows by number that are made when they are asked for: what their classes inherit, and a part of them.

rows[3], rows[-1]     one row, of Python's whole numbers and NumPy's
rows[10:20], rows[::2]   a RowSlice: rows by number again; nothing is read before a row of it is asked for"""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Sequence

from t0native.base.showing import shown

__all__ = ["NumberedRows", "RowSlice"]


class NumberedRows(Sequence):
    """A sequence of rows. A class that inherits it has __len__ and _row(i), the row of a number from 0 to len - 1."""

    @abstractmethod
    def _row(self, i):
        """Row i, 0 <= i < len(self)."""

    def __getitem__(self, i):
        if isinstance(i, slice):
            return RowSlice(self, range(len(self))[i])
        if isinstance(i, str):
            name = shown(i)
            raise TypeError(
                f"rows are taken by number, {name} is a field: rows[0][{name}] is a value, [row[{name}] for row in rows] a column"
            )
        number, n = operator.index(i), len(self)
        if not -n <= number < n:
            raise IndexError(f"row {number} of {n}")
        return self._row(number % n)

    def __iter__(self):
        return map(self._row, range(len(self)))


class RowSlice(NumberedRows):
    """Some of the rows of a sequence, each made when it is asked for. numbers: a range of theirs.

    >>> rows = RowSlice(["a", "b", "c", "d"], range(0, 4, 2))
    >>> rows, list(rows), rows[-1], list(rows[:1])
    (RowSlice(2 of 4 rows), ['a', 'c'], 'c', ['a'])
    """

    def __init__(self, rows, numbers):
        self._rows, self._numbers = rows, numbers
        if hasattr(rows, "column_names"):
            self.column_names = rows.column_names

    def __repr__(self):
        return f"RowSlice({len(self):,} of {len(self._rows):,} rows)"

    def __len__(self):
        return len(self._numbers)

    def _row(self, i):
        return self._rows[self._numbers[i]]

    def __getitem__(self, i):
        return RowSlice(self._rows, self._numbers[i]) if isinstance(i, slice) else super().__getitem__(i)
