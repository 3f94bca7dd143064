"""The pairs of rows of which one would serve the other better than it is served, in lists."""

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from threading import Lock
from typing import Self

import numpy as np
from scipy.sparse import csr_array, hstack

from nextlabel_server.selection import sharing
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.similarity import Similarity, compare_all, just_below

_MOST = 1 << 23
_SUMMED = 1 << 18  # pairs at once; they are copied
_ROUNDING = 4 * float(np.finfo(np.float32).eps)  # of each number that is subtracted


def most(rows: int) -> int:
    """Pairs of so many rows that are listed at most, 8 bytes each, and twice that for a moment."""
    return min(rows**2 // 4, _MOST)


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
        close, low = similarity.close(served), just_below(served)
        left = most(len(x))
        counting = Lock()

        def excess(closeness: Matrix, low: Matrix) -> Matrix:
            found = similarity.of_closeness(closeness)
            found -= low
            return np.clip(found, 0, np.inf, out=found)

        def list_both(some: slice, others: slice, closeness: Matrix) -> list[csr_array] | None:
            """The pairs with some rows first, and if those are others those with them first."""
            nonlocal left
            if left < 0:
                return None
            of_some = _above(closeness, close[some])
            of_some.data = excess(of_some.data, low[some][of_some.indices])
            found = [of_some.T.tocsr()]
            if others != some:
                of_others = _above(closeness, close[others, None])
                lengths = np.diff(of_others.indptr)
                of_others.data = excess(of_others.data, low[others].repeat(lengths))
                found.append(of_others)
            with counting:
                left -= sum(lists.nnz for lists in found)
            return found if left >= 0 else None

        parts = defaultdict(list)
        for some, others, found in compare_all(x, similarity, list_both, check):
            if found is None:
                return None
            for first, of_first in zip((some, others), found, strict=False):  # or of some alone
                parts[first.start].append(of_first)
        return cls(_stacked(list(parts.values()), check), served.copy())

    def gains(self) -> Doubles:
        """Σ_i max(s_ij − served_i, 0) of each row j, or a little more, [N]."""
        gains: Doubles = self._lists.T @ np.ones(len(self._served))
        return gains * (1 + _ROUNDING)

    def lost(self, rows: Rows, before: Doubles, increase: Doubles) -> Doubles:
        """How much less that becomes for each row, or a little less, [N].

        Args:
            rows: those that are served better, [n].
            before: [n] how well they were served before.
            increase: [n] how much better they are served now.
        """
        ends = np.cumsum(np.diff(self._lists.indptr)[rows])
        cuts = np.searchsorted(ends, np.arange(_SUMMED, ends.max(initial=0), _SUMMED))
        edges = np.unique([0, *cuts, len(rows)])

        def sum_of(some: slice) -> Doubles:
            lists = self._lists[rows[some]]
            lengths = np.diff(lists.indptr)
            since = (before[some] - self._served[rows[some]]).astype(np.float32)
            lists.data -= np.repeat(np.nextafter(since, np.float32(np.inf)), lengths)
            np.clip(lists.data, 0, np.inf, out=lists.data)
            highest = np.repeat(increase[some].astype(np.float32), lengths)
            np.minimum(lists.data, highest, out=lists.data)
            sums: Doubles = lists.T @ np.ones(len(lengths))
            return sums

        pieces = [slice(first, last) for first, last in pairwise(edges)]
        sums = sum(sharing.results(sum_of, pieces), np.zeros(len(self._served)))
        return sums * (1 - _ROUNDING)


def _above(numbers: Matrix, low: Matrix) -> csr_array:
    """Those of some numbers [n, m] that are larger than `low`, which is broadcast to them."""
    rows, columns = numbers.shape
    # With a ninth of it true numpy takes half as long to find 8 % as without.
    padding = numbers.size // 8 + 1
    true = np.ones(numbers.size + padding, np.bool_)
    np.greater(numbers, low, out=true[:-padding].reshape(numbers.shape))
    where = np.flatnonzero(true)[:-padding]
    starts = np.arange(0, numbers.size + 1, columns)
    ends = np.searchsorted(where, starts).astype(np.int32)
    where = where.astype(np.int32)
    excess = numbers.ravel()[where]
    where -= np.repeat(starts[:-1].astype(np.int32), np.diff(ends))
    return csr_array((excess, where, ends), (rows, columns))


def _stacked(blocks: list[list[csr_array]], check: Callable[[], object]) -> csr_array:
    """Lists [N, N] of blocks of rows below each other, each made of parts side by side."""
    first = np.cumsum([0, *(sum(part.nnz for part in parts) for parts in blocks)])
    excess, others = np.empty(first[-1], np.float32), np.empty(first[-1], np.int32)

    def place(number: int) -> Rows:
        check()
        lists = hstack(blocks[number], format="csr")
        blocks[number].clear()
        some = slice(first[number], first[number + 1])
        excess[some], others[some] = lists.data, lists.indices
        ends: Rows = first[number] + lists.indptr[1:]
        return ends

    ends = np.concatenate([[0], *sharing.results(place, range(len(blocks)))])
    return csr_array((excess, others, ends.astype(np.int32)), (len(ends) - 1,) * 2)
