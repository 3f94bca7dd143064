"""Facility location: how well picks stand for the rows of the pool, Σ_i max_{j picked} s_ij."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nextlabel_server.selection import distances
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.similarity import Similarity

_SIDE = 512
_FEW, _MANY = 256, 512  # rows that are brought up to date at once, and changes at once
_ROUNDING = 1e-4  # of a sum of at most _MANY numbers in float32, with room


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
        self._bounds = self._sums()
        self._changes = Changes.none()
        self._counted = np.zeros(len(x), dtype=np.int64)  # how many changes a bound counts

    def add(self, centers: Matrix) -> None:
        """Lets centres [m, D] serve, too."""
        before = self._served.copy()
        doubles = centers.astype(np.float64)
        for some in distances.blocks(len(centers), _SIDE, distances.BLOCK_ELEMENTS):
            width = max(len(centers[some]), self._x.shape[1])
            for rows in distances.blocks(len(self._x), width):
                self._check()
                x = self._x[rows].astype(np.float64)
                similarities = self._similarity.between(x, doubles[some]).max(axis=1)
                np.maximum(self._served[rows], similarities, out=self._served[rows])
        changed = np.flatnonzero(self._served > before)
        self._changes = self._changes.and_then(
            changed, before[changed], self._served[changed] - before[changed]
        ).last(len(self._x))

    def gains_of(self, rows: Rows) -> Doubles:
        """Σ_i max(s_ij − served_i, 0) of each row j of some, in float64."""
        return self._gains(rows, np.float64)

    def bounds_of(self, rows: Rows) -> Doubles:
        """What these gains are not above."""
        known = self._counted[rows] >= self._changes.forgotten
        self._count_changes(rows[known])
        unknown = rows[~known]
        # In float32 `served` may be rounded up.
        error = float(np.finfo(np.float32).eps) * len(self._x)
        self._bounds[unknown] = self._gains(unknown, np.float32, 1) * (1 + _ROUNDING) + error
        self._counted[rows] = self._changes.total
        return self._bounds[rows]

    def _sums(self) -> Doubles:
        """What Σ_i s_ij is not above, of the positive s_ij alone."""
        sums = np.zeros(len(self._x))
        sides = list(distances.blocks(len(self._x), 1, _SIDE))
        for place, some in enumerate(sides):
            for others in sides[place:]:
                self._check()
                similarities = self._similarity.between(self._x[some], self._x[others], 1)
                np.maximum(similarities, 0, out=similarities)
                sums[some] += similarities.sum(axis=1)
                if some != others:
                    sums[others] += similarities.sum(axis=0)
        return sums * (1 + _ROUNDING)

    def _gains(self, rows: Rows, dtype: type[np.floating], lean: int = 0) -> Doubles:
        gains = np.zeros(len(rows))
        served = self._served.astype(dtype)
        for some in distances.blocks(len(rows), 1, _SIDE):
            candidates = self._x[rows[some]].astype(dtype)
            for block in distances.blocks(len(self._x), 1, _SIDE):
                self._check()
                x = self._x[block].astype(dtype, copy=False)
                increase = self._similarity.between(candidates, x, lean)
                increase -= served[block]
                np.maximum(increase, 0, out=increase)
                gains[some] += increase.sum(axis=1)
        return gains

    def _count_changes(self, rows: Rows) -> None:
        """Makes the bounds of some rows less by all changes that they do not count yet."""
        rows = rows[np.argsort(self._counted[rows], kind="stable")]
        for some in distances.blocks(len(rows), 1, _FEW):
            self._check()
            x, counted = self._x[rows[some]], self._counted[rows[some]]
            for start in range(int(counted[0]), self._changes.total, _MANY):
                changed, before, increase = self._changes.of(start, start + _MANY)
                less = self._similarity.between(x, self._x[changed], -1)
                less -= before
                np.maximum(less, np.zeros_like(before), out=less)  # quicker than with a number
                np.minimum(less, increase, out=less)
                # Rows are in the order of what they count: few changes are new to some rows only.
                mixed = np.arange(start, min(start + len(changed), counted[-1]))
                less[:, : len(mixed)] *= mixed >= counted[:, None]
                self._bounds[rows[some]] -= less.sum(axis=1) * (1 - _ROUNDING)


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

    def of(self, start: int, stop: int) -> tuple[Rows, Matrix, Matrix]:
        """Rows, before and increase of those from the number `start` on."""
        some = slice(start - self.forgotten, stop - self.forgotten)
        return self.rows[some], self.before[some], self.increase[some]
