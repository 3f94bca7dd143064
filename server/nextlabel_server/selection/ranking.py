"""The total order: score descending, then row number ascending."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Scores: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_CHUNK = 1 << 16
_FEW = 1 << 10  # rows: sorting them all is quicker than looking for the best first


def top(scores: Scores, count: int, eligible: Mask | None = None) -> Rows:
    """The `count` best rows in the total order, all eligible ones if there are fewer.

    Args:
        scores: [N] float64, no NaN.
        count: how many rows at most.
        eligible: [N] rows that may be picked; all of them when None.

    Goes through the scores in chunks and keeps `count` candidates, so the memory is that of
    the answer and not that of the pool. Exact, ties included: chunks come in row order, so a
    later row must beat the weakest candidate and not just equal it.
    """
    best = np.empty(0, dtype=np.int64)
    if count <= 0:
        return best
    if len(scores) <= _FEW:
        rows = np.arange(len(scores)) if eligible is None else np.flatnonzero(eligible)
        return _in_order(scores, rows)[:count]
    weakest = -np.inf
    full = False
    chunk = max(_CHUNK, count)
    for start in range(0, len(scores), chunk):
        values = scores[start : start + chunk]
        keep = values > weakest if full else np.ones(len(values), dtype=np.bool_)
        if eligible is not None:
            keep &= eligible[start : start + chunk]
        best = np.concatenate([best, np.flatnonzero(keep) + start])
        if len(best) > count:
            best = _best_of(scores, best, count)
        if len(best) == count:
            weakest = scores[best].min()
            full = True
    return _in_order(scores, best)


def _best_of(scores: Scores, rows: Rows, count: int) -> Rows:
    """The `count` best of `rows` (ascending), in ascending order."""
    values = scores[rows]
    weakest = -np.partition(-values, count - 1)[count - 1]
    above = values > weakest
    tied = np.flatnonzero(values == weakest)[: count - int(above.sum())]
    above[tied] = True
    kept: Rows = rows[above]
    return kept


def _in_order(scores: Scores, rows: Rows) -> Rows:
    """Rows, ascending, in the total order."""
    in_order: Rows = rows[np.argsort(-scores[rows], kind="stable")]
    return in_order
