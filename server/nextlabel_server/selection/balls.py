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
        counts: [N] how many rows the ball around each row holds that are nearer than the radius
            to nothing that was added.
    """

    def __init__(self, x: Matrix, radius: float, check: Callable[[], object]) -> None:
        self._x = x
        self._squared_radius = radius * radius  # radius**2 would raise where it is infinite
        self._check = check
        self._open: Mask = np.ones(len(x), dtype=np.bool_)
        self.counts: Doubles = np.zeros(len(x))
        sides = list(distances.blocks(len(x), _SIDE))
        for place, some in enumerate(sides):
            for others in sides[place:]:
                held = self._holds(x[some], x[others])
                self.counts[some] += np.count_nonzero(held, axis=1)
                if some != others:
                    self.counts[others] += np.count_nonzero(held, axis=0)

    def add(self, centers: Matrix) -> None:
        """Covers what is near centres [m, D]; each row is taken out of the counts once."""
        covered = []
        for some in distances.blocks(len(centers), _SIDE):
            open_rows = np.flatnonzero(self._open)
            for part in distances.blocks(len(open_rows), _SIDE):
                rows = open_rows[part]
                near = rows[self._holds(centers[some], self._x[rows]).any(axis=0)]
                self._open[near] = False
                covered.append(near)
        self._discount(np.concatenate(covered) if covered else np.empty(0, dtype=np.int64))

    def _discount(self, covered: Rows) -> None:
        for part in distances.blocks(len(covered), _SIDE):
            x = self._x[covered[part]]
            for some in distances.blocks(len(self._x), _SIDE):
                self.counts[some] -= np.count_nonzero(self._holds(self._x[some], x), axis=1)

    def _holds(self, centers: Matrix, x: Matrix) -> npt.NDArray[np.bool_]:
        """Whether the ball around each centre [m, D] holds each row x [n, D], [m, n]."""
        self._check()
        left, right = distances.factors(centers, x)
        squared = left @ right.T
        norms = float(left[:, -2].max(initial=0.0) + right[:, -1].max(initial=0.0))
        error = distances.product_error(x.shape[1]) * norms
        holds = squared < self._squared_radius - error
        unsure = holds ^ (squared <= self._squared_radius + error)
        center, row = np.divmod(np.flatnonzero(unsure), len(x))
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
