"""Greedy picking of gains that only shrink as rows are picked: most need not be computed again."""

from collections.abc import Callable, Iterator

import numpy as np

from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.ranking import Rows, Scores

_AT_ONCE = 16


def picks(picking: Picking, bounds: Scores, gains_of: Callable[[Rows], Scores]) -> Iterator[int]:
    """Takes the row of most worth, again and again, and yields it.

    The picks are those of plain greedy picking: a row is left alone while what it was once worth
    is less than what another is worth now (Minoux 1978).

    Args:
        picking: what rows are taken from.
        bounds: [N] float64, what no row's gain is above; kept up to date here.
        gains_of: the gains of some rows, when all rows that were yielded are picked.
    """
    while picking.wants_more:
        known = np.zeros(len(bounds), dtype=np.bool_)
        at_once = _AT_ONCE
        while True:
            worth = picking.worth(bounds)
            best = int(worth.argmax())
            if known[best]:
                break
            worth[known] = -np.inf
            rows = _largest(worth, at_once)
            bounds[rows] = gains_of(rows)
            known[rows] = True
            # Few looks at all rows, even when many are worth about the same.
            at_once *= 2
        picking.take(best, float(bounds[best]))
        yield best


def _largest(worth: Scores, count: int) -> Rows:
    """The rows of most worth, in ascending order; fewer where no more can be picked."""
    rows = np.arange(len(worth))
    if count < len(worth):
        rows = np.sort(np.argpartition(-worth, count)[:count])
    possible: Rows = rows[worth[rows] > -np.inf]
    return possible
