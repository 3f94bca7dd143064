"""Which rows are near which, in lists: as long as that is not too much to keep."""

from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from nextlabel_server.selection.ranking import Rows

_KEPT = 1 << 20  # pairs: 25 MB while lists are made of them

Near: TypeAlias = npt.NDArray[np.int32]
"""Pairs of rows [2, n], the one below near the one above."""


class Neighbors:
    """The rows near each of so many.

    Attributes:
        known: whether all pairs that were added could be kept.
    """

    def __init__(self, rows: int) -> None:
        self.known = True
        self._rows = rows
        self._pairs: list[Near] = []
        self._count = 0

    def add(self, near: Near | None) -> None:
        """Pairs not added before; none where they are too many to be listed."""
        self._count += 0 if near is None else near.shape[1]
        self.known = self.known and near is not None and self._count <= _KEPT
        if near is not None and self.known:
            self._pairs.append(near)
        else:
            self._pairs.clear()

    def near_to(self, rows: Rows) -> npt.NDArray[np.int64]:
        """To how many of some rows each row is near, [N]."""
        counts: npt.NDArray[np.int64] = self._lists[rows].sum(axis=0, dtype=np.int64)
        return counts

    @cached_property
    def _lists(self) -> csr_array:
        """[N, N], true where the row of a column is near that of a row."""
        rows, near = np.concatenate(self._pairs, axis=1)
        self._pairs.clear()
        shape = (self._rows, self._rows)
        return coo_array((np.ones(len(rows), dtype=np.bool_), (rows, near)), shape).tocsr()
