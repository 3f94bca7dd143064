"""Unsure rows that keep a distance from each other, as large as pays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nextlabel_server.selection import ranking
from nextlabel_server.selection.distances import (
    Doubles,
    Matrix,
    between,
    blocks,
    exact_squared,
)
from nextlabel_server.selection.parameters import Parameter, base_of
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.tensors import EMBEDDINGS, PROBABILITIES

_CHUNK = 512


@whole_pool(
    formula="u_i + λ·min_{j picked before} d(x_i, x_j); u_i for the first; can end before B rows",
    reference="Fahrbach et al. 2025, GIST, arXiv:2405.18754, algorithm 1",
    tensors=(PROBABILITIES, EMBEDDINGS),
    parameters=(
        base_of("entropy"),
        Parameter(
            "weight",
            float,
            "λ: what the least distance between two picks is worth against the sum of scores.",
            default=1.0,
            minimum=0,
        ),
        Parameter(
            "epsilon",
            float,
            "How finely distances are tried: each is this share larger than the one before.",
            default=0.1,
            minimum=0.01,
            maximum=1,
        ),
    ),
    time="O((N + B)·B·D·ln(1/ε)/ε) at worst",
    memory="4·N·D + 96·N + 8·B·D + 24 MiB",
    bytes_of=lambda s: 4 * s.N * s.D + 96 * s.N + 8 * s.B * s.D + (24 << 20),
    may_pick_fewer=True,
)
def gist(pool: Pool, picking: Picking, *, base: str, weight: float, epsilon: float) -> None:  # noqa: ARG001
    """Picks at most B rows for a high f(S) = Σ_{i in S} u_i + λ·(least distance of two rows of S).

    Of these batches S the one with the highest f, the first of those alike: the B best rows by
    score; two pairs of far rows; and for each distance d = (1 + ε)^i·ε·d_max/2 up to d_max, rows
    by score that are at least d from those taken before. A batch of fewer than B rows is an
    answer like any other: it is given where distance is worth more than further scores. For a
    lone row the least distance is d_max, as in the paper.

    In place of the largest distance of two rows, which is not to be had in linear time, d_max is
    that of the second pair: from the best row to the farthest from it, and on to the farthest from
    that one; at least half of the largest. Without constraints f is still 1/(2 + 2ε) of the
    highest there is, which is the paper's ½ − ε: no distance above half of the largest has to be
    tried, and of a lone row the first pair is worth half. The paper's ⅔ for sums of scores holds
    where d_max is the largest distance indeed.
    """
    if not picking.wants_more:
        return
    in_order = ranking.top(picking.for_cost(pool.scores), pool.row_count, picking.open)
    sweep = Sweep(pool.embeddings, pool.scores, in_order, picking.check)
    best = max(sweep.batches(picking, epsilon), key=lambda batch: sweep.value(batch, weight))
    for row, nearest in zip(best.rows, best.nearest, strict=True):
        far = weight * nearest if np.isfinite(nearest) else 0.0
        picking.take(row, float(pool.scores[row]) + far)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in the order of picking, each with its distance to the nearest row before it."""

    rows: list[int]
    nearest: list[float]

    @property
    def least(self) -> float:
        """The least distance between two rows; infinite for a lone one."""
        return min(self.nearest, default=np.inf)

    def take(self, trial: Picking, row: int, nearest: float) -> None:
        trial.take(row, 0.0)
        self.rows.append(row)
        self.nearest.append(nearest)


class Sweep:
    """Batches of rows [N, D] by scores [N]; `in_order` are the open rows, best first.

    `check` is called now and then.
    """

    def __init__(
        self, x: Matrix, scores: Doubles, in_order: Rows, check: Callable[[], object]
    ) -> None:
        self._check = check
        self._x = x
        self._scores = scores
        self._in_order = in_order
        best = x[in_order[:_CHUNK]]
        # Every batch begins among these.
        self._among_best = between(best, best)
        self._middle, self._near = self._farthest(0)
        self._end, self._widest = self._farthest(self._middle)

    def batches(self, picking: Picking, epsilon: float) -> Iterator[Batch]:
        """The best rows by score, the pairs of far rows, and a batch for each distance."""
        batch = self._apart(picking.trial(), 0.0)
        yield batch
        yield self._pair(picking.trial(), 0, self._middle, self._near)
        yield self._pair(picking.trial(), self._middle, self._end, self._widest)
        for least in _thresholds(self._widest, epsilon):
            picking.check()
            # Up to the distance that the last batch has anyway, it would come out the same.
            if least > batch.least:
                batch = self._apart(picking.trial(), least)
                yield batch

    def value(self, batch: Batch, weight: float) -> float:
        """Sum of scores + λ·least distance, which is d_max for a lone row."""
        least = batch.least if len(batch.rows) > 1 else self._widest
        return float(self._scores[batch.rows].sum()) + weight * least

    def _farthest(self, place: int) -> tuple[int, float]:
        """From the row at a place in the order, the place of the farthest, and how far it is."""
        self._check()
        row = self._x[self._in_order[place]]
        squared = np.concatenate(
            [
                exact_squared(self._x[self._in_order[some]], row)
                for some in blocks(len(self._in_order), self._x.shape[1])
            ]
        )
        at = int(squared.argmax())
        return at, float(np.sqrt(squared[at]))

    def _pair(self, trial: Picking, one: int, other: int, apart: float) -> Batch:
        """The rows at two places in the order, or the better alone where both cannot be taken."""
        batch = Batch([], [])
        rows = self._in_order[sorted((one, other))].tolist()
        for row, nearest in zip(rows, (np.inf, apart), strict=True):
            if trial.wants_more and trial.open[row]:
                batch.take(trial, row, nearest)
        return batch

    def _apart(self, trial: Picking, least: float) -> Batch:
        """Takes open rows by score that are at least `least` from all that were taken before."""
        batch = Batch([], [])
        for start in range(0, len(self._in_order), _CHUNK):
            if not trial.wants_more:
                break
            rows = self._in_order[start : start + _CHUNK]
            if start:
                rows = rows[trial.open[rows]]
                nearest = between(self._x[batch.rows], self._x[rows]).min(axis=0)
                far = nearest >= least
                rows, nearest = rows[far], nearest[far]
                apart = between(self._x[rows], self._x[rows])
            else:
                nearest, apart = np.full(len(rows), np.inf), self._among_best
            _take_among(trial, batch, rows, nearest, apart, least)
        return batch


def _thresholds(widest: float, epsilon: float) -> Iterator[float]:
    """(1 + ε)^i·ε·d_max/2 while (1 + ε)^i is at most 2/ε."""
    growth = 1.0
    while growth <= 2 / epsilon:
        yield growth * epsilon * widest / 2
        growth *= 1 + epsilon


def _take_among(
    trial: Picking, batch: Batch, rows: Rows, nearest: Doubles, apart: Doubles, least: float
) -> None:
    """Takes of some rows [n] in their order.

    `nearest` [n] is how far they are from the batch so far, `apart` [n, n] from each other.
    """
    nearest = nearest.copy()
    at = 0
    while at < len(rows) and trial.wants_more:
        possible = (nearest[at:] >= least) & trial.open[rows[at:]]
        at += int(possible.argmax())
        if not possible.any():
            return
        batch.take(trial, int(rows[at]), float(nearest[at]))
        np.minimum(nearest, apart[at], out=nearest)
        at += 1
