"""Facility location: how well picks stand for the rows of the pool, Σ_i max_{j picked} s_ij."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nextlabel_server.selection import distances, sharing
from nextlabel_server.selection.changes import Changes, rounding
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.pairs import Pairs, most
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.similarity import (
    TOGETHER,
    Floats,
    Similarity,
    at_most,
    compare_all,
)

_FEW = 64  # rows that are compared before others are ready to be compared with many
_SIDE = 512  # rows, at most, that are compared with blocks of all others
_PAIRS = 1 << 18  # of rows at once, so that what is computed of them stays in the cache
_ALONE = 1 / 16  # of the rows; more are compared together with all others
_MANY = 3 / 4  # of the rows; with more changes all rows are compared again
_WORTH = 4  # changes yet to come, as a multiple of the rows, that are worth lists of pairs
_SPARSE = 1 / 14  # of the pairs; lists of more take longer than to count some more changes
_SAMPLE = 64  # rows whose pairs are counted, to know about how many there are of all
_LEAST = 1e-30  # change that float32 can divide by; without smaller ones bounds are still bounds


@dataclass(frozen=True, slots=True)
class Serving:
    """Whom a row may serve better.

    Attributes:
        by: the row.
        rows: [n] those, and maybe others.
        similarities: [n] of each with it.
    """

    by: int
    rows: Rows
    similarities: Doubles


class Facilities:
    """The similarity of each row to the most similar of what was added so far, at least 0.

    The gain of a row j is Σ_i max(s_ij − served_i, 0). Of all gains there are bounds, from float32;
    what more is served makes them less by Σ_i min(max(s_ij − before_i, 0), after_i − before_i),
    over those rows i alone that are served better since. While many pairs of rows count, the last
    N changes are kept, and counted when a bound is asked for: similarities are computed again where
    they are needed. Once few do, these are listed.

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
        self._bounds = np.full(len(x), np.inf)
        self._compared = False  # all pairs of rows
        self._changes = Changes(x, similarity, check)
        self._counted = np.full(len(x), -1)  # how many changes a bound counts; −1 without one
        self._pairs: Pairs | None = None
        self._asked = Serving(-1, np.empty(0, np.int64), np.empty(0))  # of one row, the last
        self._alone = 0  # rows that were compared with all others since the last centres
        self._changed = 0  # rows, by the last centres
        self._listable: float = len(x)  # rows that a pick serves better when pairs may be few
        self._lists_pay = False

    @property
    def listed(self) -> bool:
        """Whether all pairs that count are listed, and with them all bounds known."""
        return self._pairs is not None

    def add(self, centers: Matrix) -> None:
        """Lets centres [m, D] serve, too."""
        before = self._served.copy()

        def serve(some: slice, rows: slice) -> None:
            for better, similarities in self._served_better(centers[some], rows):
                self._served[better] = np.maximum(self._served[better], similarities.max(axis=0))

        for some in distances.blocks(len(centers), 1, at_most(_SIDE, self._x)):
            blocks = distances.blocks(len(self._x), self._width(some.stop - some.start), _PAIRS)
            sharing.each(partial(serve, some), blocks)
        self._note_changes(before)

    def pick(self, row: int, left: int) -> None:
        """Lets a row serve, too; there will be so many more that are `left`."""
        serving = self._asked if self._asked.by == row else self._served_by(row)
        before, rows = self._served.copy(), serving.rows
        self._served[rows] = np.maximum(self._served[rows], serving.similarities)
        self._note_changes(before, left)

    def rough_gains(self) -> Doubles | None:
        """What no gain is above, [N]; None where that is neither known nor quick to say."""
        if self._compared:
            return self._bounds
        return self._similarity.rough_gains(self._x, self._served, self._check)

    def gains_of(self, rows: Rows) -> Doubles:
        """Σ_i max(s_ij − served_i, 0) of each row j of some, in float64."""
        if len(rows) != 1:
            return self._summed(rows, self._gains)
        self._asked = self._served_by(int(rows[0]))
        increase = self._asked.similarities - self._served[self._asked.rows]
        gain: Doubles = np.maximum(increase, 0).sum(keepdims=True)
        return gain

    def bounds_of(self, rows: Rows) -> Doubles:
        """What these gains are not above."""
        if self._pairs is not None:
            return self._bounds[rows]
        known = self._counted[rows] >= self._changes.forgotten
        unknown = rows[~known]
        self._alone += len(unknown)
        of_all = self._alone > _ALONE * len(self._x)
        if self._lists_pay and (of_all or self._compared) and self._list_pairs():
            return self._bounds[rows]
        if of_all:
            # Others will be wanted, too, and each pair of rows is compared once for both.
            self._bounds = np.minimum(self._bounds, self._gain_bounds_of_all())
            self._counted[:] = self._changes.total
            self._alone = 0
            self._compared = True
        else:
            for some, lost in self._changes.losses(rows[known], self._counted[rows[known]]):
                self._bounds[some] -= lost
            self._bounds[unknown] = self._summed(unknown, self._gain_bounds)
            self._counted[rows] = self._changes.total
        return self._bounds[rows]

    def _note_changes(self, before: Doubles, left: int = 0) -> None:
        """How rows were served before, and how many picks are left that will change it."""
        changed = np.flatnonzero(self._served - before > _LEAST)
        kept = 0 if len(changed) > _MANY * len(before) else len(before)
        increase = self._served[changed] - before[changed]
        if self._pairs is not None:
            self._bounds -= self._pairs.lost(changed, before[changed], increase)
            return
        self._changes.add(changed, before[changed], increase, kept)
        self._alone = 0
        self._changed = len(changed)
        self._lists_pay = left * len(changed) > _WORTH * len(before)

    def _count_pairs(self, candidates: Matrix, rows: slice) -> Doubles:
        """How many of some rows candidates [n, D] would serve better."""
        self._check()
        counts: Doubles = (self._above(candidates, rows) > 0).sum(axis=1, dtype=np.float64)
        return counts

    def _list_pairs(self) -> bool:
        """Lists the pairs that count, if they are few; whether they are."""
        if self._changed > self._listable:
            return False
        count = len(self._x)
        some = np.arange(0, count, -(-count // _SAMPLE))
        pairs = self._summed(some, self._count_pairs).sum() * count / len(some)
        few = min(most(count), _SPARSE * count**2)
        if pairs <= few:
            self._pairs = Pairs.of(self._x, self._similarity, self._served, self._check)
        if self._pairs is None:
            # The fewer rows a pick serves better, the fewer pairs count: a like share.
            self._listable = self._changed * min(few / pairs, 0.9)
            return False
        # These alone: what rows lose is counted from them, too, and can be more than it is.
        self._bounds = self._pairs.gains()
        self._compared = True
        return True

    def _gain_bounds_of_all(self) -> Doubles:
        """What the gains of all rows are not above."""
        bounds = np.zeros(len(self._x))
        served = self._served.astype(np.float32)

        def gains(some: slice, others: slice, closeness: Matrix) -> tuple[Matrix, Matrix]:
            """What some rows gain from others, and those from them."""
            similarities = self._similarity.of_closeness(closeness)
            rows, columns = (distances.ones(count) for count in similarities.shape)
            if not served.any():
                above = _positive(similarities)
                return rows @ above, above @ columns
            of_some = rows @ _positive(similarities - served[others, None])
            similarities -= served[some]
            return of_some, _positive(similarities) @ columns

        for some, others, (of_some, of_others) in compare_all(
            self._x, self._similarity, gains, self._check
        ):
            bounds[some] += of_some
            if others != some:
                bounds[others] += of_others
        return bounds * (1 + rounding(TOGETHER))

    def _summed(self, rows: Rows, part: Callable[[Matrix, slice], Doubles]) -> Doubles:
        """What parts of the pool give for some rows, added up."""
        gains = np.zeros(len(rows))
        for some in distances.blocks(len(rows), 1, at_most(_SIDE, self._x)):
            candidates = self._x[rows[some]]
            blocks = distances.blocks(len(self._x), self._width(len(candidates)), _PAIRS)
            for found in sharing.results(partial(part, candidates), blocks):
                gains[some] += found
        return gains

    def _width(self, rows: int) -> int:
        """How wide a row of the pool is that is compared with so many; for many it is copied."""
        width: int = self._x.shape[1]
        return max(rows, width // 8 if rows < _FEW else width)

    def _gains(self, candidates: Matrix, rows: slice) -> Doubles:
        """What candidates [n, D] gain from some of the rows, in float64."""
        gains = np.zeros(len(candidates))
        for better, similarities in self._served_better(candidates, rows):
            similarities -= self._served[better]
            gains += np.maximum(similarities, 0, out=similarities).sum(axis=1)
        return gains

    def _served_by(self, row: int) -> Serving:
        """Whom a row may serve better, in float64."""
        center = self._x[row : row + 1]
        rows, similarities = [np.empty(0, np.int64)], [np.empty(0)]
        blocks = distances.blocks(len(self._x), self._width(1), _PAIRS)
        for found in sharing.results(lambda some: [*self._served_better(center, some)], blocks):
            rows += [better for better, _ in found]
            similarities += [of_center[0] for _, of_center in found]
        return Serving(row, np.concatenate(rows), np.concatenate(similarities))

    def _served_better(self, centers: Matrix, rows: slice) -> Iterator[tuple[Rows, Floats]]:
        """Those of some rows that one of the centres [n, D] may serve better: mostly few.

        Yields some of them with their similarities to all of the centres, in float64.
        """
        self._check()
        # Row by row in memory, or the largest of few numbers for each of many takes long.
        above = np.ascontiguousarray(self._above(centers, rows))
        better = rows.start + np.flatnonzero(above.max(axis=0) > 0)
        doubles = centers.astype(np.float64)
        for part in distances.blocks(len(better), max(centers.shape), _PAIRS):
            x = self._x[better[part]].astype(np.float64)
            yield better[part], self._similarity.between(doubles, x)

    def _gain_bounds(self, candidates: Matrix, rows: slice) -> Doubles:
        """What candidates [n, D] do not gain more than from some of the rows."""
        self._check()
        above = self._above(candidates, rows)
        bounds = (_positive(above) @ distances.ones(above.shape[1])).astype(np.float64)
        return bounds * (1 + rounding(above.shape[1]))

    def _above(self, candidates: Matrix, rows: slice) -> Matrix:
        """s_ij − served_i, or more, of candidates j and some of the rows."""
        x, served = self._x[rows], self._served[rows]
        if len(candidates) < _FEW:
            return self._similarity.above(candidates, x, self._norms[rows], served, 1)
        return self._similarity.against(x, served, 1)(self._similarity.side(candidates))


def _positive(numbers: Matrix) -> Matrix:
    """max(numbers, 0), in their place."""
    return np.clip(numbers, 0, np.inf, out=numbers)
