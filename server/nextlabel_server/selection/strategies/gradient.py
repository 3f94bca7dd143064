"""Batches that are far apart as gradients: what labeling a row would change in the last layer."""

import numpy as np

from nextlabel_server.selection import draws
from nextlabel_server.selection.distances import (
    Doubles,
    Matrix,
    blocks,
    product_errors,
    squared_norms,
)
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.tensors import EMBEDDINGS_AS_SENT, PROBABILITIES

_ROUNDING = 1e-13  # of a squared length
_ELEMENTS = 1 << 18  # of rows in float64 at once


@whole_pool(
    formula="min_{j picked} |g_i − g_j|², g = (p − e_ŷ) ⊗ x; |g_i|² for the first",
    reference="Ash et al. 2020, BADGE, arXiv:1906.03671",
    tensors=(PROBABILITIES, EMBEDDINGS_AS_SENT),
    time="O(N·B·(C + D))",
    memory="4·N·(2·C + D) + 48·N + 12 MiB",
    bytes_of=lambda s: 4 * s.N * (2 * s.C + s.D) + 48 * s.N + (12 << 20),
    stochastic=True,
)
def badge(pool: Pool, picking: Picking) -> None:
    """Draws rows in proportion to the squared distance of their gradients to those picked.

    ŷ is the most probable class, the lowest of those that are alike. The first pick has the
    longest gradient, as in the authors' code; rows whose gradient equals that of a pick have no
    chance until there is no other row, and then all have the same.
    """
    if not picking.wants_more:
        return
    gradients = Gradients(pool.probabilities, pool.embeddings)
    lengths = gradients.squared_lengths(np.arange(pool.row_count))
    first = picking.best(lengths)
    picking.take(first, float(lengths[first]))
    draws.pick_by_squared_distance(gradients, picking, pool.rng, first)


class Gradients:
    """Gradients g_i = a_i ⊗ x_i, a = p − e_ŷ, that are never made.

    Their products are <g_i, g_j> = <a_i, a_j>·<x_i, x_j>, and so their distances take no more
    than the two parts: p is [N, C], x is [N, D].
    """

    def __init__(self, p: Matrix, x: Matrix) -> None:
        self._p = p
        self._top = p.argmax(axis=1)
        self._a = p.copy()
        self._a[np.arange(len(p)), self._top] -= 1
        self._x = x
        self._norms = squared_norms(self._a) * squared_norms(x)
        self._nearest = np.full(len(x), np.inf, dtype=np.float32)

    def squared_lengths(self, rows: Rows) -> Doubles:
        """|g_i|² = |a_i|²·|x_i|² of some rows, in float64."""
        lengths = np.empty(len(rows))
        for some in blocks(len(rows), self._a.shape[1] + self._x.shape[1], _ELEMENTS):
            a, x = self._parts(rows[some])
            lengths[some] = squared_norms(a) * squared_norms(x)
        return lengths

    def add_rows(self, rows: list[int]) -> None:
        a, x, norms = self._a[rows], self._x[rows], self._norms[rows]
        for some in blocks(len(self._x), 512):
            squared = a @ self._a[some].T
            squared *= x @ self._x[some].T
            squared *= -2
            squared += norms[:, None]
            nearest = squared.min(axis=0)
            nearest += self._norms[some]
            np.minimum(self._nearest[some], nearest, out=self._nearest[some])

    def upper_bounds(self) -> Doubles:
        nearest = np.maximum(self._nearest.astype(np.float64), 0.0)
        # The nearest pick's gradient is no longer than this row's and the distance together.
        # Two products of C and of D terms, and the roundings around them.
        terms = self._a.shape[1] + self._x.shape[1]
        bounds: Doubles = nearest + product_errors(terms, nearest + self._norms)
        return bounds

    def exact(self, rows: Rows, centers: list[int]) -> Doubles:
        """|g_i − g_j|² = |a_i|²·|x_i|² + |a_j|²·|x_j|² − 2·<a_i, a_j>·<x_i, x_j>, the least."""
        nearest = np.full(len(rows), np.inf)
        width = self._a.shape[1] + self._x.shape[1]
        for part in blocks(len(centers), width, _ELEMENTS):
            a, x = self._parts(np.array(centers[part]))
            lengths = squared_norms(a) * squared_norms(x)
            for some in blocks(len(rows), width + len(a), _ELEMENTS):
                a_rows, x_rows = self._parts(rows[some])
                own = squared_norms(a_rows) * squared_norms(x_rows)
                squared = lengths - 2 * (a_rows @ a.T) * (x_rows @ x.T) + own[:, None]
                # A difference too small for its digits is that of copies.
                squared[squared <= _ROUNDING * own[:, None]] = 0.0
                np.minimum(nearest[some], squared.min(axis=1), out=nearest[some])
        return nearest

    def _parts(self, rows: Rows) -> tuple[Doubles, Doubles]:
        a = self._p[rows].astype(np.float64)
        a[np.arange(len(rows)), self._top[rows]] -= 1  # in float64: p − 1 is rounded in `_a`
        return a, self._x[rows].astype(np.float64)
