"""Batches that span much: the determinant of their similarities is large."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_triangular

from nextlabel_server.selection import lazy
from nextlabel_server.selection.distances import (
    BLOCK_ELEMENTS,
    Doubles,
    Matrix,
    blocks,
    squared_norms,
)
from nextlabel_server.selection.parameters import Parameter, base_of
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Rows, Scores
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.similarity import BANDWIDTH, SIMILARITY, Floats, Gaussian
from nextlabel_server.selection.tensors import PROBABILITIES, SIMILAR_EMBEDDINGS

_LEAST = 1e-10  # where the authors stop
_ALIKE = 1e-12
_CANDIDATES = 512


@whole_pool(
    formula="q_i²·det S_{picked + i}/det S_picked, of which the ratio is at least 1e-10",
    reference="Chen, Zhang & Zhou 2018, Fast greedy MAP inference for DPP, arXiv:1709.05135",
    tensors=(SIMILAR_EMBEDDINGS, PROBABILITIES),
    optional=(PROBABILITIES,),
    parameters=(
        SIMILARITY,
        BANDWIDTH,
        base_of("entropy"),
        Parameter(
            "weight",
            float,
            "θ: how much being unsure counts against diversity, when there are probabilities. 0 is "
            "diversity alone.",
            default=0.5,
            minimum=0,
            maximum=0.99,
        ),
    ),
    time="O(B·D + B²) for each gain that is computed, at most B for each of N rows",
    memory="4·N·D + 16·B·D + 24·B² + 80·N + 48 MiB",
    bytes_of=lambda s: 4 * s.N * s.D + 16 * s.B * s.D + 24 * s.B**2 + 80 * s.N + (48 << 20),
)
def dpp(
    pool: Pool,
    picking: Picking,
    *,
    similarity: str,
    bandwidth: float,
    base: str,  # noqa: ARG001
    weight: float,
) -> None:
    """Picks the row that raises most the determinant of quality and similarity of the picks.

    Greedy MAP inference of a determinantal point process with the kernel diag(q)·S·diag(q), where
    S is (1 + cosine)/2 as in the paper, or the rbf kernel. With u the scores of the base strategy
    the quality is q_i = e^{α(u_i − max u)}, α = θ/(2(1 − θ)), so that a batch is worth
    θ·Σ u_i + (1 − θ)·ln det S, as in the paper; dividing by the largest q changes no
    pick. Without probabilities every row has quality 1, and a gain is the share of a row that the
    picks do not explain. Below 1e-10, where the authors stop, all shares are alike; of gains that
    are alike the lowest row is next.
    """
    if not picking.wants_more:
        return
    x = pool.embeddings
    between = _half_cosine if similarity == "cosine" else Gaussian.fit(bandwidth, x).between
    span = Span(between, most=picking.left, dimensions=x.shape[1])

    quality = np.ones(len(x))  # squared
    if len(pool.scores):
        quality = np.exp(weight / (1 - weight) * (pool.scores - pool.scores.max()))

    def gains_of(rows: Rows) -> Scores:
        gains = np.empty(len(rows))
        for some in blocks(len(rows), BLOCK_ELEMENTS // _CANDIDATES):
            picking.check()
            gains[some] = span.unexplained(x[rows[some]])
        return gains * quality[rows]

    for row in lazy.picks(picking, quality.copy(), gains_of, alike=_ALIKE * quality):
        span.add(x[row])


class Span:
    """What rows share with those that were added, by a Cholesky factor L of their similarities.

    Unlike in the paper, where L^{-1}·s_i is kept for every row i of the pool, it is computed
    when a gain is: that takes [m, m] for m picks, and not [m, N].
    """

    def __init__(
        self, similarity: Callable[[Floats, Floats], Floats], most: int, dimensions: int
    ) -> None:
        self._similarity = similarity
        self._rows = np.empty((most, dimensions))
        self._factor = np.zeros((most, most), order="F")
        self._count = 0

    def add(self, row: Matrix) -> None:
        """Adds a row [D], unless those before explain it."""
        shared = self._shared(row[None])[:, 0]
        own = 1 - float(shared @ shared)
        if own > _LEAST:
            self._rows[self._count] = row
            self._factor[self._count, : self._count] = shared
            self._factor[self._count, self._count] = np.sqrt(own)
            self._count += 1

    def unexplained(self, x: Matrix) -> Doubles:
        """s_ii − |L^{-1}·s_i|², the share of each row [n, D] that is new, at least 1e-10."""
        shared = self._shared(x)
        own: Doubles = np.maximum(1 - np.einsum("mn,mn->n", shared, shared), _LEAST)
        return own

    def _shared(self, x: Matrix) -> Floats:
        """L^{-1}·s_i of each row, [m, n]."""
        similarities = self._similarity(self._rows[: self._count], x.astype(np.float64))
        if not self._count:
            return similarities
        factor = self._factor[: self._count, : self._count]
        shared: Floats = solve_triangular(factor, similarities, lower=True, check_finite=False)
        return shared


def _half_cosine(x: Floats, y: Floats) -> Floats:
    """(1 + cosine)/2, [n, m]; by true lengths, as those of stored rows are 1 in float32 only."""
    lengths = np.sqrt(np.outer(squared_norms(x), squared_norms(y)))
    return (1 + x @ y.T / lengths) / 2
