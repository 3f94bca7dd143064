"""Greedy picking of gains that only shrink as rows are picked: most need not be computed again."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.ranking import Rows, Scores

_AT_ONCE = 16

GainsOf: TypeAlias = Callable[[Rows], Scores]
"""The gains of some rows, at least 0, when all rows that were yielded are picked."""


def picks(
    picking: Picking,
    bounds: Scores,
    gains_of: GainsOf,
    *,
    bounds_of: GainsOf | None = None,
    bounded: Callable[[], bool] = lambda: False,
    alike: float | Scores = 0.0,
) -> Iterator[int]:
    """Takes the row of most worth, again and again, and yields it.

    The picks are those of plain greedy picking: a row is left alone while what it was once worth
    is less than what another is worth now (Minoux 1978).

    Args:
        picking: what rows are taken from.
        bounds: [N] float64, what no row's gain is above; kept up to date here, and may be made
            less whenever a row is yielded.
        gains_of: the gains.
        bounds_of: what the gains are not above, where that is quicker to compute.
        bounded: whether that is what `bounds` holds already, of all rows.
        alike: gains that are less than the largest by no more are alike, and the lowest such row
            is taken; one number, or one for each row that may have the largest, [N].
    """
    slack = np.broadcast_to(alike, len(bounds))
    steps = (gains_of,) if bounds_of is None else (bounds_of, gains_of)
    reached = 1.0  # by the last gain, of the largest bound
    while picking.wants_more:
        done = np.full(len(bounds), int(bounded()), dtype=np.int8)
        worth = picking.worth(bounds)
        highest = worth.max()
        # Bounds are quicker of many rows, and leave few over. The best say which others matter.
        likely = int(np.count_nonzero(worth >= reached * highest))
        at_once = [_AT_ONCE] if bounds_of is None else [max(likely // 8, 2 * _AT_ONCE), 1]
        while True:
            if not (picking.open & (bounds > slack)).any():
                # No gain is below 0, so all are alike, and only that of the pick is needed.
                near = np.flatnonzero(picking.open)[:1]
                bounds[near] = gains_of(near)
                break
            best = np.array([worth.argmax()])
            least = picking.worth(bounds[best] - slack[best], best)[0]
            near = np.flatnonzero(worth >= least)
            step = int(done[near].min())
            if step == len(steps):
                reached = float(worth[best[0]] / highest)
                break
            # What is worth less than one that is known better waits: it may never be needed.
            known = worth[done > step].max(initial=-np.inf)
            left = np.flatnonzero((done == step) & (worth >= min(known, least)))
            rows = _largest(left, worth, at_once[step])
            found = steps[step](rows)
            # A gain from before is a bound, too, and may be less than one that is quickly computed.
            bounds[rows] = found if step == len(steps) - 1 else np.minimum(bounds[rows], found)
            worth = picking.worth(bounds)
            done[rows] += 1
            # Few looks at all rows, even when many are worth about the same.
            at_once[step] *= 2 if steps[step] is gains_of else len(bounds)
        picking.take(int(near[0]), float(bounds[near[0]]))
        yield int(near[0])


def _largest(rows: Rows, worth: Scores, count: int) -> Rows:
    """Those rows of most worth, [N], in ascending order; fewer where no more can be picked."""
    if count < len(rows):
        rows = np.sort(rows[np.argpartition(-worth[rows], count)[:count]])
    possible: Rows = rows[worth[rows] > -np.inf]
    return possible
