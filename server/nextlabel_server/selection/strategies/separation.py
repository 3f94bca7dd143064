"""Unsure rows that keep a distance from each other, as large as pays."""

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
    formula="u_i + λ·min_{j picked before} d(x_i, x_j); u_i for the first",
    reference="Fahrbach et al. 2025, GIST, arXiv:2405.18754",
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
)
def gist(pool: Pool, picking: Picking, *, base: str, weight: float, epsilon: float) -> None:  # noqa: ARG001
    """Picks the batch with the highest sum of scores + λ·least distance that a sweep finds.

    For each least distance of a geometric sweep, takes rows by score that are as far from those
    taken before, and compares the batches. The paper allows batches of fewer rows; here a batch
    has as many as scores alone would give, and the sweep ends when so many are not to be had.
    Without constraints the batch is worth 1/(2 + 2ε) of the best one of its size, or is within
    λ·ε·(largest distance) of it. The sweep begins and ends at shares of the distance of a far
    pair that is found in two passes, which is at least half of the largest.
    """
    if not picking.wants_more:
        return
    in_order = ranking.top(picking.for_cost(pool.scores), pool.row_count, picking.open)
    sweep = Sweep(pool.embeddings, pool.scores, in_order)
    best = candidate = sweep.batch(picking.trial(), 0.0)
    widest = sweep.far_pair()
    threshold = epsilon * widest / 2
    while 0 < threshold <= widest:
        picking.check()
        # Up to the distance that the last batch has anyway, it would come out the same.
        if threshold > candidate.least:
            candidate = sweep.batch(picking.trial(), threshold)
            if len(candidate.rows) < len(best.rows):
                break
            if sweep.value(candidate, weight) > sweep.value(best, weight):
                best = candidate
        threshold *= 1 + epsilon
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


class Sweep:
    """Batches of rows [N, D] by scores [N]; `in_order` are the open rows, best first."""

    def __init__(self, x: Matrix, scores: Doubles, in_order: Rows) -> None:
        self._x = x
        self._scores = scores
        self._in_order = in_order
        best = x[in_order[:_CHUNK]]
        # Every batch begins among these.
        self._among_best = between(best, best)

    def value(self, batch: Batch, weight: float) -> float:
        """Sum of scores + λ·least distance, which is 0 for a lone row."""
        least = batch.least if len(batch.rows) > 1 else 0.0
        return float(self._scores[batch.rows].sum()) + weight * least

    def far_pair(self) -> float:
        """From the row that is farthest from the best one, the distance to its farthest."""
        row, _ = self._farthest(int(self._in_order[0]))
        return self._farthest(row)[1]

    def batch(self, trial: Picking, least: float) -> Batch:
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

    def _farthest(self, row: int) -> tuple[int, float]:
        """The open row that is farthest from a row, the best of those alike, and how far."""
        squared = np.concatenate(
            [
                exact_squared(self._x[self._in_order[some]], self._x[row])
                for some in blocks(len(self._in_order), self._x.shape[1])
            ]
        )
        at = int(squared.argmax())
        return int(self._in_order[at]), float(np.sqrt(squared[at]))


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
        trial.take(int(rows[at]), 0.0)
        batch.rows.append(int(rows[at]))
        batch.nearest.append(float(nearest[at]))
        np.minimum(nearest, apart[at], out=nearest)
        at += 1
