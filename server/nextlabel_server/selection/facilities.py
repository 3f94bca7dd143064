"""Facility location: how well picks stand for the rows of the pool, Σ_i max_{j picked} s_ij."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nextlabel_server.selection import distances, sharing
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.similarity import Similarity

_FEW, _MANY = 256, 512  # rows whose bounds are one piece of work, and rows or changes at once
_PAIRS = 1 << 18  # of them, so that what is computed of them stays in the cache
_TERMS = 2048  # at most in a sum in float32
_ROUNDING = 1.5e-4  # of such a sum, with room


class Facilities:
    """The similarity of each row to the most similar of what was added so far, at least 0.

    The gain of a row j is Σ_i max(s_ij − served_i, 0). Of all gains there are bounds, from float32;
    what more is served makes them less by Σ_i min(max(s_ij − before_i, 0), after_i − before_i),
    over those rows i alone that are served better since. So the last N changes are kept, and
    counted when a bound is asked for. Similarities are computed again where they are needed.

    Args:
        x: [N, D] float32.
        similarity: of its rows.
        check: called now and then.
    """

    def __init__(self, x: Matrix, similarity: Similarity, check: Callable[[], object]) -> None:
        self._x = x
        self._similarity = similarity
        self._check = check
        self._served: Doubles = np.zeros(len(x))
        self._bounds = np.full(len(x), np.inf)
        self._all_less = True  # than they are known to be
        self._changes = Changes.none()
        self._counted = np.zeros(len(x), dtype=np.int64)  # how many changes a bound counts

    def add(self, centers: Matrix) -> None:
        """Lets centres [m, D] serve, too."""
        before = self._served.copy()

        def serve(some: slice, rows: slice) -> None:
            self._check()
            better = self._served_better(centers[some], rows)
            x, doubles = self._x[better].astype(np.float64), centers[some].astype(np.float64)
            similarities = self._similarity.between(x, doubles).max(axis=1)
            self._served[better] = np.maximum(self._served[better], similarities)

        for some in distances.blocks(len(centers), 1, _MANY):
            width = max(some.stop - some.start, self._x.shape[1])
            blocks = distances.blocks(len(self._x), width, _PAIRS)
            sharing.each(partial(serve, some), blocks)
        changed = np.flatnonzero(self._served > before)
        # As with the first centre: no bound is of use any more.
        self._all_less |= 2 * len(changed) > len(before)
        self._changes = self._changes.and_then(
            changed, before[changed], self._served[changed] - before[changed]
        ).last(len(self._x))

    def gains_of(self, rows: Rows) -> Doubles:
        """Σ_i max(s_ij − served_i, 0) of each row j of some, in float64."""
        return self._summed(rows, self._gains, self._x.shape[1])

    def bounds_of(self, rows: Rows) -> Doubles:
        """What these gains are not above."""
        if self._all_less:
            self._bounds, self._all_less = self._gain_bounds_of_all(), False
            self._counted[:] = self._changes.total
        known = self._counted[rows] >= self._changes.forgotten
        self._count_changes(rows[known])
        unknown = rows[~known]
        self._bounds[unknown] = self._summed(unknown, self._gain_bounds, _PAIRS // _TERMS)
        self._counted[rows] = self._changes.total
        return self._bounds[rows]

    def _gain_bounds_of_all(self) -> Doubles:
        """What the gains of all rows are not above: each pair of rows is compared once for both."""
        bounds = np.zeros(len(self._x))
        sides = list(distances.blocks(len(self._x), 1, _MANY))
        pairs = [(some, others) for place, some in enumerate(sides) for others in sides[place:]]
        found = sharing.results(self._gain_bounds_of_both, pairs)
        for (some, others), (of_some, of_others) in zip(pairs, found, strict=True):
            bounds[some] += of_some
            if some != others:
                bounds[others] += of_others
        return bounds * (1 + _ROUNDING)

    def _gain_bounds_of_both(self, pair: tuple[slice, slice]) -> tuple[Matrix, Matrix]:
        """What rows of two blocks gain from those of the other, in float32."""
        self._check()
        some, others = pair
        none = np.zeros(others.stop - others.start)
        similarities = self._similarity.above(self._x[some], self._x[others], none, 1)
        if not self._served.any():
            above = _positive(similarities)
            return above @ distances.ones(above.shape[1]), distances.ones(len(above)) @ above
        above = similarities - self._served[others].astype(np.float32)
        of_some = _positive(above) @ distances.ones(above.shape[1])
        if some == others:
            return of_some, of_some
        similarities -= self._served[some, None].astype(np.float32)
        return of_some, distances.ones(len(above)) @ _positive(similarities)

    def _summed(self, rows: Rows, part: Callable[[Matrix, slice], Doubles], width: int) -> Doubles:
        """What parts of the pool give for some rows, added up; `width` makes parts small."""
        gains = np.zeros(len(rows))
        for some in distances.blocks(len(rows), 1, _MANY):
            candidates = self._x[rows[some]]
            blocks = distances.blocks(len(self._x), max(len(candidates), width), _PAIRS)
            for found in sharing.results(partial(part, candidates), blocks):
                gains[some] += found
        return gains

    def _gains(self, candidates: Matrix, rows: slice) -> Doubles:
        """What candidates [n, D] gain from some of the rows, in float64."""
        self._check()
        better = self._served_better(candidates, rows)
        x = self._x[better].astype(np.float64)
        increase = self._similarity.between(candidates.astype(np.float64), x)
        increase -= self._served[better]
        gains: Doubles = np.maximum(increase, 0, out=increase).sum(axis=1)
        return gains

    def _served_better(self, centers: Matrix, rows: slice) -> Rows:
        """Those of some rows that one of the centres [n, D] may serve better: mostly few."""
        above = self._similarity.above(centers, self._x[rows], self._served[rows], 1)
        better: Rows = rows.start + np.flatnonzero(above.max(axis=0) > 0)
        return better

    def _gain_bounds(self, candidates: Matrix, rows: slice) -> Doubles:
        """What candidates [n, D] do not gain more than from some of the rows."""
        self._check()
        above = self._similarity.above(candidates, self._x[rows], self._served[rows], 1)
        bounds = (_positive(above) @ distances.ones(above.shape[1])).astype(np.float64)
        return bounds * (1 + _ROUNDING)

    def _count_changes(self, rows: Rows) -> None:
        """Makes the bounds of some rows less by all changes that they do not count yet."""
        rows = rows[np.argsort(self._counted[rows], kind="stable")]
        pieces = (
            (rows[some], slice(start, start + _MANY))
            for some in distances.blocks(len(rows), 1, _FEW)
            for start in range(int(self._counted[rows[some.start]]), self._changes.total, _MANY)
        )
        for some, losses in sharing.results(self._losses, pieces):
            self._bounds[some] -= losses * (1 - _ROUNDING)

    def _losses(self, piece: tuple[Rows, slice]) -> tuple[Rows, Matrix]:
        """What some changes take from rows, of which the first count the fewest changes yet.

        Only rows that do not count all of these changes yet are returned.
        """
        self._check()
        rows, changes = piece
        changed, before, increase = self._changes.of(changes)
        counted = self._counted[rows] - changes.start
        counted = counted[: np.searchsorted(counted, len(changed))]
        rows = rows[: len(counted)]
        x, others = self._x.take(rows, axis=0), self._x.take(changed, axis=0)
        less = self._similarity.above(x, others, before, -1)
        np.minimum(_positive(less), increase, out=less)
        counting = np.searchsorted(counted, 0, "right")
        while counting < len(counted):
            less[counting:, : counted[counting]] = 0
            counting = np.searchsorted(counted, counted[counting], "right")
        return rows, less @ distances.ones(len(changed))


def _positive(numbers: Matrix) -> Matrix:
    """max(numbers, 0), in their place; a row of zeros is quicker than a number."""
    return np.maximum(numbers, np.zeros(numbers.shape[1], np.float32), out=numbers)


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows in the order in which they were served better, as often as that was so.

    Attributes:
        rows: [n] the last of them.
        before: [n] float32, how well each was served until then, or the next number above.
        increase: [n] float32, how much better from then on.
        total: how many there were.
    """

    rows: Rows
    before: Matrix
    increase: Matrix
    total: int

    @classmethod
    def none(cls) -> "Changes":
        nothing = np.empty(0, dtype=np.float32)
        return cls(np.empty(0, dtype=np.int64), nothing, nothing, 0)

    @property
    def forgotten(self) -> int:
        """How many there were before those that are kept."""
        return self.total - len(self.rows)

    def and_then(self, rows: Rows, before: Doubles, increase: Doubles) -> "Changes":
        above = np.nextafter(before.astype(np.float32), np.float32(np.inf))
        return Changes(
            np.concatenate([self.rows, rows]),
            np.concatenate([self.before, above]),
            np.concatenate([self.increase, increase.astype(np.float32)]),
            self.total + len(rows),
        )

    def last(self, count: int) -> "Changes":
        """The last so many of them."""
        first = max(0, len(self.rows) - count)
        return Changes(self.rows[first:], self.before[first:], self.increase[first:], self.total)

    def of(self, numbers: slice) -> tuple[Rows, Matrix, Matrix]:
        """Rows, before and increase of some of them, by their numbers."""
        some = slice(numbers.start - self.forgotten, numbers.stop - self.forgotten)
        return self.rows[some], self.before[some], self.increase[some]
