"""What rows gain less since others are served better, change by change."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from nextlabel_server.selection import distances, sharing
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.similarity import Similarity, at_most

_TALL, _WIDE = 2048, 256  # rows of one piece of work, and changes
_PIECE = 1 << 18  # of rows and changes, where rows are few


class Changes:
    """Rows in the order in which they were served better, as often as that was so.

    Attributes:
        total: how many changes there were.
        forgotten: how many of them are not kept, the first.

    Args:
        x: [N, D] all rows.
        similarity: of these.
        check: called now and then.
    """

    def __init__(self, x: Matrix, similarity: Similarity, check: Callable[[], object]) -> None:
        self.total = 0
        self._x = x
        self._similarity = similarity
        self._check = check
        self._rows = np.empty(0, np.int64)
        self._before = np.empty(0, np.float32)  # how well each was served, or the next number above
        self._increase = np.empty(0, np.float32)

    @property
    def forgotten(self) -> int:
        return self.total - len(self._rows)

    def add(self, rows: Rows, before: Doubles, increase: Doubles, kept: int) -> None:
        """More of them, [n] each; the last so many of all are kept."""
        above = np.nextafter(before.astype(np.float32), np.float32(np.inf))
        first = max(0, len(self._rows) + len(rows) - kept)
        self._rows = np.concatenate([self._rows, rows])[first:]
        self._before = np.concatenate([self._before, above])[first:]
        self._increase = np.concatenate([self._increase, increase.astype(np.float32)])[first:]
        self.total += len(rows)

    def losses(self, rows: Rows, counted: Rows) -> Iterator[tuple[Rows, Matrix]]:
        """What they take from Σ_i max(s_ij − served_i, 0) of rows j, or a little less.

        Args:
            rows: [n] those that lose.
            counted: [n] how many changes each counts already: at least those forgotten.

        Yields:
            Some of the rows, and what some changes take from them; each as often as it has to be.
        """
        order = np.argsort(counted, kind="stable")
        for some in distances.blocks(len(rows), self._x.shape[1]):
            part, known = rows[order[some]], counted[order[some]]
            losses = partial(self._losses, self._similarity.side(self._x[part]), known)
            for where, lost in sharing.results(losses, self._uncounted(known)):
                yield part[where], lost

    def _uncounted(self, counted: Rows) -> Iterator[tuple[slice, slice]]:
        """Some of the rows and some of the changes, again and again, until all are counted.

        Args:
            counted: how many changes each row counts, in ascending order.
        """
        start = int(counted[0]) if len(counted) else self.total
        most = at_most(self.total, self._x)
        while start < self.total:
            step = min(_WIDE, most)
            rows = int(np.searchsorted(counted, start + step))
            # With few rows more changes, though other rows count some of these already.
            while 2 * step <= most:
                more = int(np.searchsorted(counted, start + 2 * step))
                if 4 * step * more > _PIECE:
                    break
                step, rows = 2 * step, more
            for some in distances.blocks(rows, 1, _TALL):
                yield some, slice(start, start + step)
            start += step

    def _losses(
        self, side: Matrix, counted: Rows, piece: tuple[slice, slice]
    ) -> tuple[slice, Matrix]:
        """What some changes take from some rows, of those that each does not count yet."""
        self._check()
        rows, changes = piece
        some = slice(changes.start - self.forgotten, changes.stop - self.forgotten)
        x, before, increase = self._x[self._rows[some]], self._before[some], self._increase[some]
        less = self._similarity.against(x, before, -1, increase)(side[rows])
        np.clip(less, 0, 1, out=less)  # as a share of the whole increase
        known = counted[rows] - changes.start
        counting = np.searchsorted(known, 0, "right")
        while counting < len(known):
            less[counting:, : known[counting]] = 0
            counting = np.searchsorted(known, known[counting], "right")
        return rows, less @ increase * np.float32(1 - rounding(len(increase)))


def rounding(terms: int) -> float:
    """What share a sum of so many positive numbers in float32 is off by at most, with room."""
    return (terms + 8) * float(np.finfo(np.float32).eps)
