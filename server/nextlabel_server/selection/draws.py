"""Drawing rows one by one, in proportion to weights that change with each pick."""

from typing import Protocol

import numpy as np

from nextlabel_server.selection.distances import Doubles
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.ranking import Rows

_BEHIND = 32  # how many picks the bounds may be behind
_MISSES = 32  # how often a draw may miss before the bounds are brought up to date


def weighted_row(weights: Doubles, picking: Picking, rng: np.random.Generator) -> int:
    """One open row, drawn in proportion to its weight (for its cost); uniformly when all are 0."""
    shares = np.maximum(picking.worth(weights), 0.0)
    if not shares.any():
        shares = picking.open.astype(np.float64)
    return _drawn(np.cumsum(shares), rng)


class Spread(Protocol):
    """Squared distances to the nearest centre, bounded for all rows and exact for some."""

    def add_rows(self, rows: list[int]) -> None:
        """Makes centres of rows, for the bounds."""

    def upper_bounds(self) -> Doubles:
        """What no row's squared distance to the nearest of these centres is above, [N]."""

    def exact(self, rows: Rows, centers: list[int]) -> Doubles:
        """Squared distances of some rows to the nearest of the rows `centers`, in float64."""


def pick_by_squared_distance(
    spread: Spread, picking: Picking, rng: np.random.Generator, first: int | None = None
) -> None:
    """Picks rows in proportion to their squared distance to the nearest pick; `first` is the first.

    Without `first` the spread has centres already.

    Exact by rejection: rows are drawn in proportion to bounds, which only shrink, and kept with
    probability distance/bound; so all distances are needed only once in many picks. A pick's gain
    is its squared distance.
    """
    picked = [] if first is None else [first]
    behind = picked.copy()
    while picking.wants_more:
        spread.add_rows(behind)
        bounds = np.maximum(picking.worth(spread.upper_bounds()), 0.0)
        behind = _pick_by_rejection(spread, bounds, picking, rng, picked)
        if not behind and picking.wants_more:
            # Hardly any distance is near its bound: most rows are copies of picks.
            squared = _exact(spread, bounds, picked)
            if not picking.worth(squared).max() > 0:
                _pick_uniformly(picking, rng)
                return
            row = weighted_row(squared, picking, rng)
            picking.take(row, float(squared[row]))
            picked.append(row)
            behind = [row]


def _pick_by_rejection(
    spread: Spread, bounds: Doubles, picking: Picking, rng: np.random.Generator, picked: list[int]
) -> list[int]:
    """Picks while the bounds are good enough; returns the picks."""
    sums = np.cumsum(bounds)
    new: list[int] = []
    misses = 0
    while sums[-1] > 0 and picking.wants_more and len(new) < _BEHIND and misses < _MISSES:
        row = np.array([_drawn(sums, rng)])
        squared = spread.exact(row, picked)
        if rng.random() * bounds[row[0]] < picking.worth(squared, row)[0]:
            picking.take(int(row[0]), float(squared[0]))
            new.append(int(row[0]))
            picked.append(int(row[0]))
        else:
            misses += 1
    return new


def _exact(spread: Spread, bounds: Doubles, picked: list[int]) -> Doubles:
    """The squared distances of all rows that may be picked, [N]; 0 for others."""
    squared = np.zeros(len(bounds))
    possible = np.flatnonzero(bounds > 0)
    squared[possible] = spread.exact(possible, picked)
    return squared


def _pick_uniformly(picking: Picking, rng: np.random.Generator) -> None:
    """Picks rows that are all copies of picks, and so stay."""
    nothing = np.zeros(len(picking.open))
    while picking.wants_more:
        picking.take(weighted_row(nothing, picking, rng), 0.0)


def _drawn(sums: Doubles, rng: np.random.Generator) -> int:
    """A row in proportion to its weight; `sums` adds up the weights of all up to each row."""
    at = min(rng.random() * sums[-1], np.nextafter(sums[-1], 0.0))  # rounding may reach the end
    return int(np.searchsorted(sums, at, side="right"))
