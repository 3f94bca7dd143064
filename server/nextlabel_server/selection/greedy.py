"""Greedy picking by gains that shrink when a pick comes nearer: exact, though mostly in float32."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from nextlabel_server.selection import distances
from nextlabel_server.selection.distances import Doubles
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.ranking import Rows

GainOf: TypeAlias = Callable[[Doubles, Rows | slice, int], Doubles]
"""Gains of some rows, [n], given their squared distances to the nearest centre, [n], and the
number of picks so far. They do not grow as distances shrink, and for one distance they lie
between those at fewer and at more picks."""

_CANDIDATES = 256
_ROUNDING = 1e-14  # of a gain


def pick(
    cover: distances.Cover,
    picking: Picking,
    gain: GainOf,
    *,
    picks: int = 0,
    lowest: float = 0.0,
) -> None:
    """Picks the row of most worth again and again, each pick becoming a centre of the cover.

    The picks are those of the plain loop in float64. `picks` were made before; no gain is below
    `lowest`.
    """
    count = _CANDIDATES
    picked: list[int] = []
    while picking.wants_more:
        # Here, and not when they are picked: nobody asks how far rows are from the last of them.
        cover.add(cover.x[picked])
        picked = _pick_among_best(cover, picking, gain, picks, lowest, count)
        picks += len(picked)
        # No pick when too many rows are about as good: then look at more of them, in the end all.
        count = _CANDIDATES if picked else count * 4


def _pick_among_best(
    cover: distances.Cover,
    picking: Picking,
    gain: GainOf,
    picks: int,
    lowest: float,
    count: int,
) -> list[int]:
    """Picks by the plain rule among the best rows, while no other row can be as good."""
    every = slice(None)
    squared = cover.upper_bounds()
    bounds = np.maximum(gain(squared, every, picks), gain(squared, every, picks + count))
    bounds += _ROUNDING * np.abs(bounds)
    bounds = picking.worth(bounds, lowest=lowest)
    rows = np.arange(len(bounds))
    others = -np.inf
    if count < len(bounds):
        in_order = np.argpartition(-bounds, count)
        rows, others = np.sort(in_order[:count]), bounds[in_order[count:]].max()
    squared = cover.exact(rows)
    picked: list[int] = []
    while picking.wants_more and len(picked) < count:
        gains = gain(squared, rows, picks + len(picked))
        worth = picking.worth(gains, rows, lowest)
        best = int(worth.argmax())
        if not worth[best] > others:
            break
        row = int(rows[best])
        picking.take(row, float(gains[best]))
        picked.append(row)
        np.minimum(squared, distances.exact_squared(cover.x[rows], cover.x[row]), out=squared)
    return picked
