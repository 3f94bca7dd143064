"""Rows by their nearest centre."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import distances
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.ranking import Rows

_CENTERS = 512
_PAIRS = 1 << 18  # of a row and a centre at once, each of which may have to be settled


class Clusters:
    """Which of the centres that were added so far is the nearest to each row, and how near it is.

    Exact: products in float32 tell which centres can be the nearest, float64 which of them is.
    `check` is called now and then.

    Attributes:
        nearest: [N] the centre's number in the order of adding; the lower of two as near.
        squared: [N] float64, the squared distance to it; infinite without any.
    """

    def __init__(self, x: Matrix, check: Callable[[], object]) -> None:
        self.nearest: Rows = np.zeros(len(x), dtype=np.int64)
        self.squared: Doubles = np.full(len(x), np.inf)
        self._x = x
        self._norms = distances.squared_norms(x)
        self._check = check
        self._count = 0

    def add(self, centers: Matrix) -> None:
        """Takes more centres [m, D] into account."""
        for some in distances.blocks(len(centers), 1, _CENTERS):
            for rows in distances.blocks(len(self._x), len(centers[some]), _PAIRS):
                self._check()
                self._compare(rows, centers[some], self._count + some.start)
        self._count += len(centers)

    def _compare(self, rows: slice, centers: Matrix, first_number: int) -> None:
        """Takes centres into account for some rows."""
        which, column = self._possible(rows, centers)
        squared = self._exact(which, centers, column)
        in_order = np.lexsort((column, squared, which))
        first = in_order[np.flatnonzero(np.diff(which[in_order], prepend=-1))]
        closer = first[squared[first] < self.squared[which[first]]]
        self.squared[which[closer]] = squared[closer]
        self.nearest[which[closer]] = first_number + column[closer]

    def _possible(
        self, rows: slice, centers: Matrix
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The rows, each with a centre that may be nearer than all others and any before."""
        norms = distances.squared_norms(centers)
        squared = distances.squared_distances(self._x[rows], centers, self._norms[rows], norms)
        error = distances.product_errors(centers.shape[1], self._norms[rows] + norms.max())
        limit = np.minimum(squared.min(axis=1) + error, self.squared[rows]) + error
        which, column = np.nonzero(squared <= limit[:, None])
        return which + rows.start, column

    def _exact(
        self, which: npt.NDArray[np.int64], centers: Matrix, column: npt.NDArray[np.int64]
    ) -> Doubles:
        squared = np.empty(len(which))
        for some in distances.blocks(len(which), centers.shape[1]):
            squared[some] = distances.exact_squared(self._x[which[some]], centers[column[some]])
        return squared
