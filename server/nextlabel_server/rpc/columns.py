"""Columns of values, one a row of the pool, as blocks of them come in."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


class Column:
    """Values in row order, with or without knowing how many rows will come."""

    def __init__(self, row_count: int) -> None:
        self._values: npt.NDArray[Any] | None = None
        self._row_count = max(row_count, 0)
        self._filled = 0

    def append(self, values: npt.NDArray[Any]) -> None:
        end = self._filled + len(values)
        if self._values is None:
            self._values = np.empty((max(self._row_count, end), *values.shape[1:]), values.dtype)
        if end > len(self._values):
            # Reallocated in place where the system can, so that the peak is not twice the size.
            rows = max(end, len(self._values) * 3 // 2)
            self._values.resize((rows, *values.shape[1:]), refcheck=False)
        self._values[self._filled : end] = values
        self._filled = end

    def all(self) -> npt.NDArray[Any]:
        return np.empty(0) if self._values is None else self._values[: self._filled]


class Columns:
    """Every row's values, by the name of the column; `row_count` is -1 when not known yet."""

    def __init__(self, row_count: int) -> None:
        self._row_count = row_count
        self._columns: dict[str, Column] = {}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the columns so far, by name."""
        return {name: column.all().shape for name, column in self._columns.items()}

    def add(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Adds the next rows' values, of every column."""
        for name, some in values.items():
            self._columns.setdefault(name, Column(self._row_count)).append(some)

    def all(self) -> dict[str, npt.NDArray[Any]]:
        """The columns of all rows by name."""
        return {name: column.all() for name, column in self._columns.items()}
