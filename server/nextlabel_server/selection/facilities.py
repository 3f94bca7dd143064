"""Facility location: how well picks stand for the rows of the pool, Σ_i max_{j picked} s_ij."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import distances
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.similarity import Similarity

_CANDIDATES = 512


class Facilities:
    """The similarity of each row to the most similar of what was added so far, at least 0.

    Similarities are computed again in each block where they are needed: none is kept.

    Args:
        x: [N, D] float32.
        similarity: of its rows.
        check: called now and then.
    """

    def __init__(self, x: Matrix, similarity: Similarity, check: Callable[[], object]) -> None:
        self._x = x
        self._norms = distances.squared_norms(x)
        self._similarity = similarity
        self._check = check
        self._served: Doubles = np.zeros(len(x))

    def add(self, centers: Matrix) -> None:
        """Lets centres [m, D] serve, too."""
        doubles = centers.astype(np.float64)
        for some in distances.blocks(len(centers), distances.BLOCK_ELEMENTS // _CANDIDATES):
            width = max(len(centers[some]), self._x.shape[1])
            for rows in distances.blocks(len(self._x), width):
                x = self._x[rows].astype(np.float64)
                similarities = self._similarity.between(x, doubles[some]).max(axis=1)
                np.maximum(self._served[rows], similarities, out=self._served[rows])

    def gains_of(self, rows: Rows) -> Doubles:
        """Σ_i max(s_ij − served_i, 0) of each row j of some, in float64."""
        return self._gains(rows, self._served)

    def bounds_of(self, rows: Rows) -> Doubles:
        """What these gains are not above, from float32."""
        bounds = np.empty(len(rows))
        for some in distances.blocks(len(rows), distances.BLOCK_ELEMENTS // _CANDIDATES):
            largest = float(self._norms[rows[some]].max())
            error = self._similarity.error(self._norms, largest, self._x.shape[1])
            bounds[some] = self._gains(rows[some], (self._served - error).astype(np.float32))
        # Sums of a block's float32 numbers, in any order.
        return bounds * (1 + distances.BLOCK_ELEMENTS / _CANDIDATES * np.finfo(np.float32).eps)

    def _gains(self, rows: Rows, served: npt.NDArray[np.floating]) -> Doubles:
        gains = np.zeros(len(rows))
        for some in distances.blocks(len(rows), distances.BLOCK_ELEMENTS // _CANDIDATES):
            candidates = self._x[rows[some]].astype(served.dtype)
            for block in distances.blocks(len(self._x), _CANDIDATES):
                self._check()
                x = self._x[block].astype(served.dtype, copy=False)
                increase = self._similarity.between(candidates, x)
                increase -= served[block]
                np.maximum(increase, 0, out=increase)
                gains[some] += increase.sum(axis=1)
        return gains
