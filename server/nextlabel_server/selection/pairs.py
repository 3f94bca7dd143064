"""The pairs of rows of which one would serve the other better than it is served, in lists."""

from collections.abc import Callable, Iterator
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from nextlabel_server.selection import sharing
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.similarity import Similarity

MOST = 1 << 23
"""Pairs that are kept at most, 8 bytes each."""
_TOGETHER = 256  # rows whose lists are made together: their numbers among them are bytes
_MOST_TOGETHER = MOST >> 4  # pairs of these
_AT_ONCE = 8  # such lists that wait to be put in their place
_TALL = 2048  # rows at once that these are compared with
_SUMMED = 1 << 18  # pairs at once; they are copied
_ROUNDING = 4 * float(np.finfo(np.float32).eps)  # of each number that is subtracted

Others: TypeAlias = npt.NDArray[np.int32]


class Pairs:
    """For each row i the rows j with s_ij > served_i, and s_ij − served_i or a little more.

    The more rows are picked the fewer pairs count: about N²/t with t picks. A pick serves some N/t
    rows better, so with lists it takes N²/t² steps to say what all rows gain less, and N²/t
    comparisons without.
    """

    def __init__(self, lists: csr_array, served: Doubles) -> None:
        self._lists = lists
        self._served = served

    @classmethod
    def of(
        cls, x: Matrix, similarity: Similarity, served: Doubles, check: Callable[[], object]
    ) -> Self | None:
        """All pairs of rows [N, D] that are served so well, [N]; None where they are too many.

        `check` is called now and then.
        """
        most = min(len(x) ** 2, MOST)
        others, excess = np.empty(most, np.int32), np.empty(most, np.float32)
        starts = [np.zeros(1, np.int64)]
        count = 0
        for lists in _listed(x, similarity, served, check):
            if lists is None or count + len(lists[1]) > most:
                return None
            lengths, some_others, some_excess = lists
            starts.append(count + np.cumsum(lengths))
            some = slice(count, count + len(some_others))
            others[some], excess[some] = some_others, some_excess
            count = some.stop
        parts = excess[:count], others[:count], np.concatenate(starts).astype(np.int32)
        return cls(csr_array(parts, (len(x), len(x))), served.copy())

    def gains(self) -> Doubles:
        """Σ_i max(s_ij − served_i, 0) of each row j, or a little more, [N]."""
        every = np.arange(len(self._served))
        # Nobody was served worse before, and nobody can be served better by more than that.
        return self._sums(every, self._served, np.full(len(every), np.inf))

    def lost(self, rows: Rows, before: Doubles, increase: Doubles) -> Doubles:
        """How much less that becomes for each row, or a little less, [N].

        Args:
            rows: those that are served better, [n].
            before: [n] how well they were served before.
            increase: [n] how much better they are served now.
        """
        return self._sums(rows, before, increase) * (1 - _ROUNDING)

    def _sums(self, rows: Rows, served: Doubles, most: Doubles) -> Doubles:
        """Σ_i min(max(s_ij − served_i, 0), most_i) over some rows i, [N]."""
        sums = np.zeros(len(self._served))
        ends = np.cumsum(np.diff(self._lists.indptr)[rows])
        first = 0
        while first < len(rows):
            done = ends[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(ends, done + _SUMMED)))
            some = slice(first, last)
            lists = self._lists[rows[some]]
            lengths = np.diff(lists.indptr)
            since = (served[some] - self._served[rows[some]]).astype(np.float32)
            lists.data -= np.repeat(np.nextafter(since, np.float32(np.inf)), lengths)
            np.clip(lists.data, 0, np.repeat(most[some].astype(np.float32), lengths), lists.data)
            sums += np.bincount(lists.indices, lists.data, len(sums))
            first = last
        return sums


def _listed(
    x: Matrix, similarity: Similarity, served: Doubles, check: Callable[[], object]
) -> Iterator[tuple[Rows, Others, Matrix] | None]:
    """The pairs of some rows after the other: how many each has, with whom, and their excess."""

    def lists_of(some: slice) -> tuple[Rows, Others, Matrix] | None:
        together = some.stop - some.start
        compare = similarity.against(x[some], served[some], 1)
        found = []
        count = 0
        for start in range(0, len(x), _TALL):
            check()
            better = compare(similarity.side(x[start : start + _TALL])).ravel()
            where = np.flatnonzero(better > 0)
            count += len(where)
            if count > _MOST_TOGETHER:
                return None
            other = where // together
            owner = (where - other * together).astype(np.uint8)
            found.append((owner, (start + other).astype(np.int32), better[where]))
        owner, other, excess = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(owner, kind="stable")
        return np.bincount(owner, minlength=together), other[order], excess[order]

    for first in range(0, len(x), _AT_ONCE * _TOGETHER):
        last = min(first + _AT_ONCE * _TOGETHER, len(x))
        pieces = [
            slice(start, min(start + _TOGETHER, last)) for start in range(first, last, _TOGETHER)
        ]
        yield from sharing.results(lists_of, pieces)
