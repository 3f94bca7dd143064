"""Balls of one radius around rows of embeddings: what they hold, how large they may be."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import distances
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.ranking import Mask, Rows

_SIDE = 1024


class Balls:
    """Which rows x [N, D] are nearer than `radius` to others, and which are covered by then.

    Exact: float64 settles the pairs that float32 products leave open. `check` is called now and
    then.

    Attributes:
        covered: [N] rows that are nearer than the radius to something added.
    """

    def __init__(self, x: Matrix, radius: float, check: Callable[[], object]) -> None:
        self.covered: Mask = np.zeros(len(x), dtype=np.bool_)
        self._x = x
        self._norms = distances.squared_norms(x)
        self._squared_radius = radius * radius  # radius**2 would raise where it is infinite
        self._check = check

    def add(self, centers: Matrix) -> None:
        """Covers what is near centres [m, D]."""
        for some in distances.blocks(len(centers), _SIDE):
            open_rows = np.flatnonzero(~self.covered)
            for part in distances.blocks(len(open_rows), _SIDE):
                rows = open_rows[part]
                self.covered[rows] = self._holds(centers[some], rows).any(axis=0)

    def gains_of(self, rows: Rows) -> Doubles:
        """How many rows that are not covered each ball of some rows holds."""
        open_rows = np.flatnonzero(~self.covered)
        gains = np.zeros(len(rows))
        for some in distances.blocks(len(rows), _SIDE):
            for part in distances.blocks(len(open_rows), _SIDE):
                self._check()
                held = self._holds(self._x[rows[some]], open_rows[part])
                gains[some] += held.astype(np.float32).sum(axis=1)  # exact up to 2^24
        return gains

    def _holds(self, centers: Matrix, rows: Rows) -> npt.NDArray[np.bool_]:
        """Whether the ball around each centre holds each row, [m, n]."""
        x, norms = self._x[rows], distances.squared_norms(centers)
        squared = distances.squared_distances(centers, x, norms, self._norms[rows])
        squared -= self._squared_radius
        holds = squared < 0
        error = _error(centers, norms, self._norms[rows])
        center, row = np.nonzero(np.abs(squared, out=squared) <= error)
        exact = _squared_of_pairs(centers, x, center, row)
        holds[center, row] = exact < self._squared_radius
        return holds


def largest_pure_radius(
    x: Matrix, labels: Rows, purity: float, check: Callable[[], object]
) -> float:
    """The largest radius with which a share `purity` of all balls hold one label only.

    A ball holds what is nearer than its radius, so it is pure up to the distance of its centre
    from the nearest row [N, D] of another label [N]. Infinite where all labels are the same.
    """
    norms = distances.squared_norms(x)
    squared = np.full(len(x), np.inf)
    for some in distances.blocks(len(x), _SIDE):
        for others in distances.blocks(len(x), _SIDE):
            check()
            block = distances.squared_distances(x[some], x[others], norms[some], norms[others])
            block[labels[some, None] == labels[others]] = np.inf
            error = _error(x, norms[some], norms[others])
            nearest = np.minimum(block.min(axis=1), squared[some])
            row, other = np.nonzero((block <= nearest[:, None] + 2 * error) & (block < np.inf))
            exact = _squared_of_pairs(x[some], x[others], row, other)
            np.minimum.at(squared[some], row, exact)
    in_order = np.sort(squared)
    return float(np.sqrt(in_order[len(x) - int(np.ceil(purity * len(x)))]))


def _error(
    x: Matrix, x_norms: npt.NDArray[np.floating], y_norms: npt.NDArray[np.floating]
) -> float:
    """How far float32 squared distances between rows with these norms are off at most."""
    return distances.product_error(x.shape[1]) * float(x_norms.max() + y_norms.max())


def _squared_of_pairs(x: Matrix, y: Matrix, x_rows: Rows, y_rows: Rows) -> Doubles:
    """|x_i − y_j|² of each pair (i, j), in float64."""
    squared = np.empty(len(x_rows))
    for some in distances.blocks(len(x_rows), x.shape[1]):
        squared[some] = distances.exact_squared(x[x_rows[some]], y[y_rows[some]])
    return squared
