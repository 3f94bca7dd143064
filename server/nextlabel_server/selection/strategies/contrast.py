"""Rows that the model sees in another way than their labeled neighbours."""

import numpy as np

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import numerics, ranking
from nextlabel_server.selection.distances import (
    Doubles,
    Matrix,
    blocks,
    exact_squared,
    product_errors,
    squared_distances,
    squared_norms,
)
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.tensors import (
    EMBEDDINGS,
    LABELED_EMBEDDINGS_REQUIRED,
    LABELED_PROBABILITIES,
    PROBABILITIES,
)


@whole_pool(
    formula="mean over the k nearest labeled rows j of KL(p_j ‖ p_i)",
    reference="Margatina et al. 2021, Contrastive active learning, arXiv:2109.03764",
    tensors=(PROBABILITIES, EMBEDDINGS, LABELED_EMBEDDINGS_REQUIRED, LABELED_PROBABILITIES),
    parameters=(
        Parameter(
            "neighbors",
            int,
            "k: how many labeled rows to compare with; all if there are fewer.",
            default=10,
            minimum=1,
            maximum=1000,
        ),
    ),
    time="O(N·L·D + N·k·C)",
    memory="4·N·(C + D) + 64·N + L·(4·D + 16·C) + 64 MiB",
    bytes_of=lambda s: 4 * s.N * (s.C + s.D) + 64 * s.N + s.L * (4 * s.D + 16 * s.C) + (64 << 20),
)
def contrastive(pool: Pool, picking: Picking, *, neighbors: int) -> None:
    """Favours rows whose prediction differs from those for the nearest labeled rows.

    Of labeled rows as near as each other the first ones count; with none every gain is 0.
    ln 0 is taken as ln of the smallest double, so that gains are finite.
    """
    labeled = pool.references["labeled_embeddings"]
    predicted = pool.references["labeled_probabilities"]
    if pool.row_count and predicted.shape[1] != pool.probabilities.shape[1]:
        raise InvalidRequest(
            "labeled_probabilities",
            f"found {predicted.shape[1]} classes; the pool has {pool.probabilities.shape[1]}",
        )
    gains = np.zeros(pool.row_count)
    if len(labeled):
        count = min(neighbors, len(labeled))
        width = max(len(labeled), count * max(labeled.shape[1], predicted.shape[1]))
        for some in blocks(pool.row_count, width):
            picking.check()
            near = _nearest(pool.embeddings[some], labeled, count)
            gains[some] = _mean_divergence(predicted, near, pool.probabilities[some])
    picking.take_in_order(ranking.top(picking.for_cost(gains), pool.row_count, picking.open), gains)
    picking.settle(gains)


def _nearest(x: Matrix, y: Matrix, count: int) -> Rows:
    """For each row of x [n, D] the `count` nearest of y [L, D], [n, count], nearest first.

    float32 products leave over those that may be among them; float64 decides.
    """
    x_norms, y_norms = squared_norms(x), squared_norms(y)
    squared = squared_distances(x, y, x_norms, y_norms)
    slack = product_errors(x.shape[1], x_norms[:, None] + y_norms)
    farthest = np.partition(squared + slack, count - 1, axis=1)[:, count - 1]
    rows, columns = np.nonzero(squared - slack <= farthest[:, None])
    exact = np.concatenate(
        [exact_squared(x[rows[s]], y[columns[s]]) for s in blocks(len(rows), x.shape[1])]
    )
    in_order = np.lexsort((columns, exact, rows))
    starts = np.searchsorted(rows, np.arange(len(x)))
    nearest: Rows = columns[in_order][starts[:, None] + np.arange(count)]
    return nearest


def _mean_divergence(p: Doubles, near: Rows, q: Matrix) -> Doubles:
    """Mean over the neighbours j of a row i of KL(p_j ‖ q_i) = Σ p_j ln p_j − Σ p_j ln q_i, [n]."""
    entropies = numerics.entropy(p.T)
    means = p[near].mean(axis=1)
    crossed = np.einsum("nc,nc->n", means, numerics.log(q.astype(np.float64)))
    divergences: Doubles = -entropies[near].mean(axis=1) - crossed
    return divergences
