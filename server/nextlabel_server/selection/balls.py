"""Balls of one radius around rows of embeddings: what they hold, how large they may be."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import distances, sharing
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.neighbors import Near, Neighbors
from nextlabel_server.selection.ranking import Mask, Rows

_SIDE = 512
_PAIRS = 1 << 18  # so that what is computed of them stays in the cache
_FEW = 1 << 14  # of them, that are quicker listed than summed up

Counts: TypeAlias = npt.NDArray[np.int64] | Matrix


class Balls:
    """Which rows x [N, D] are nearer than `radius` to others, and which are covered by then.

    Exact: float64 settles the pairs that float32 products leave open. `check` is called now and
    then.

    Attributes:
        counts: [N] how many rows the ball around each row holds that are nearer than the radius
            to nothing that was added.
        neighbors: which rows the balls hold, if few; these are not compared again.
    """

    def __init__(self, x: Matrix, radius: float, check: Callable[[], object]) -> None:
        self._x = x
        self._halves = distances.squared_norms(x) / 2
        self._squared_radius = radius * radius  # radius**2 would raise where it is infinite
        self._check = check
        self._open: Mask = np.ones(len(x), dtype=np.bool_)
        self.counts: Doubles = np.zeros(len(x))
        self.neighbors = Neighbors(len(x))
        sides = list(distances.blocks(len(x), 1, _SIDE))
        for held in sharing.results(self._held_by_both, distances.each_two(sides)):
            for rows, counts, near in held:
                self.counts[rows] += counts
                self.neighbors.add(near)

    def add(self, centers: Matrix) -> None:
        """Covers what is near centres [m, D]; each row is taken out of the counts once."""
        was_open = self._open.copy()
        for some in distances.blocks(len(centers), 1, _SIDE):
            # Few centres take little time beside reading the rows: pieces may be long.
            width = max(some.stop - some.start, self._x.shape[1] // 8)
            blocks = list(distances.blocks(len(self._x), width, _PAIRS))
            near = sharing.results(partial(self._near_any, centers[some]), blocks)
            for rows, covered in zip(blocks, near, strict=True):
                self._open[rows][covered] = False
        self._discount(np.flatnonzero(was_open & ~self._open))

    def _near_any(self, centers: Matrix, rows: slice) -> npt.NDArray[np.bool_]:
        """Whether a ball around one of the centres [m, D] holds each of some rows."""
        near: npt.NDArray[np.bool_] = np.logical_or.reduce(self._holds(centers, rows), axis=0)
        return near

    def _held_by_both(self, pair: tuple[slice, slice]) -> list[tuple[slice, Counts, Near | None]]:
        """How many rows of two blocks each ball around one of the other holds; which, if few."""
        some, others = pair
        holds = self._holds(self._x[some], others)
        near: Near | None = None
        of_some: Counts
        of_others: Counts
        if np.count_nonzero(holds) <= _FEW:
            row, other = np.divmod(np.flatnonzero(holds), holds.shape[1])
            near = np.array([some.start + row, others.start + other], dtype=np.int32)
            of_some = np.bincount(row, minlength=len(holds))
            of_others = np.bincount(other, minlength=holds.shape[1])
        else:
            # Products of floats are the quickest sums of truths, and exact up to 2^24.
            truths = holds.astype(np.float32)
            of_some = truths @ distances.ones(truths.shape[1])
            of_others = distances.ones(len(truths)) @ truths
        both = [(some, of_some, near), (others, of_others, None if near is None else near[::-1])]
        return both[:1] if some == others else both

    def _discount(self, covered: Rows) -> None:
        if self.neighbors.known:
            self.counts -= self.neighbors.near_to(covered)
            return
        for part in distances.blocks(len(covered), 1, _SIDE):
            x = self._x[covered[part]]
            width = max(len(x), self._x.shape[1])
            blocks = list(distances.blocks(len(self._x), width, _PAIRS))
            held = sharing.results(partial(self._held_by, x), blocks)
            for rows, counts in zip(blocks, held, strict=True):
                self.counts[rows] -= counts

    def _held_by(self, x: Matrix, rows: slice) -> Matrix:
        """How many of x [m, D] the ball around each of some rows holds."""
        return distances.ones(len(x)) @ self._holds(x, rows).astype(np.float32)

    def _holds(self, centers: Matrix, rows: slice) -> npt.NDArray[np.bool_]:
        """Whether the ball around each centre [m, D] holds each of some rows [n], [m, n].

        It does where <c, x> − |c|²/2 is more than (|x|² − radius²)/2.
        """
        self._check()
        x, halves = self._x[rows], self._halves[rows]
        of_centers = distances.squared_norms(centers)[:, None] / 2
        products = centers @ x.T
        products -= of_centers
        norms = float(of_centers.max(initial=0.0) + halves.max(initial=0.0))
        error = distances.product_errors(x.shape[1], norms)
        least = halves.astype(np.float64) - self._squared_radius / 2
        holds = products > (least + error).astype(np.float32)
        maybe = products >= (least - error).astype(np.float32)
        if np.count_nonzero(maybe) > np.count_nonzero(holds):
            center, row = np.divmod(np.flatnonzero(holds ^ maybe), len(x))
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

    def settle(some: slice) -> None:
        for others in distances.blocks(len(x), 1, _SIDE):
            check()
            block = distances.squared_distances(x[some], x[others], norms[some], norms[others])
            block[labels[some, None] == labels[others]] = np.inf
            error = _error(x, norms[some], norms[others])
            nearest = np.minimum(block.min(axis=1), squared[some])
            row, other = np.nonzero((block <= nearest[:, None] + 2 * error) & (block < np.inf))
            exact = _squared_of_pairs(x[some], x[others], row, other)
            np.minimum.at(squared[some], row, exact)

    sharing.each(settle, distances.blocks(len(x), 1, _SIDE))
    in_order = np.sort(squared)
    return float(np.sqrt(in_order[len(x) - int(np.ceil(purity * len(x)))]))


def _error(
    x: Matrix, x_norms: npt.NDArray[np.floating], y_norms: npt.NDArray[np.floating]
) -> float:
    """How far float32 squared distances between rows with these norms are off at most."""
    return float(distances.product_errors(x.shape[1], float(x_norms.max() + y_norms.max())))


def _squared_of_pairs(x: Matrix, y: Matrix, x_rows: Rows, y_rows: Rows) -> Doubles:
    """|x_i − y_j|² of each pair (i, j), in float64."""
    squared = np.empty(len(x_rows))
    for some in distances.blocks(len(x_rows), x.shape[1], _PAIRS):
        squared[some] = distances.exact_squared(x[x_rows[some]], y[y_rows[some]])
    return squared
