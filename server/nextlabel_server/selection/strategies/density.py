"""Unsure rows of crowded places: what is learned of one there holds for many."""

import numpy as np

from nextlabel_server.selection import ranking
from nextlabel_server.selection.distances import Doubles, Matrix, blocks
from nextlabel_server.selection.parameters import Parameter, base_of
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.tensors import DIRECTIONS, PROBABILITIES


@whole_pool(
    formula="u_i·max(mean_j cos(x_i, x_j), 0)^β, j over all rows of the pool",
    reference="Settles & Craven 2008, An analysis of active learning strategies, EMNLP",
    tensors=(PROBABILITIES, DIRECTIONS),
    parameters=(
        base_of("entropy"),
        Parameter(
            "beta",
            float,
            "How much crowding counts: 0 is the base score alone.",
            default=1.0,
            minimum=0,
            maximum=1e6,
        ),
    ),
    time="O(N·D)",
    memory="4·N·D + 64·N + 12 MiB",
    bytes_of=lambda s: 4 * s.N * s.D + 64 * s.N + (12 << 20),
)
def information_density(pool: Pool, picking: Picking, *, base: str, beta: float) -> None:  # noqa: ARG001
    """Favours rows that are unsure and similar to the pool as a whole.

    Similarity is the cosine, as in the paper, whose mean over the pool is the product with the
    mean of the unit vectors: no pair of rows is compared. A row that points away from the pool
    on average has no density.
    """
    if not pool.row_count:
        return
    density = np.maximum(_mean_cosine(pool.embeddings), 0.0)
    gains = pool.scores * density**beta
    picking.take_in_order(ranking.top(picking.for_cost(gains), pool.row_count, picking.open), gains)
    picking.settle(gains)


def _mean_cosine(x: Matrix) -> Doubles:
    """Mean over j of <x_i, x_j>, [N], of unit vectors [N, D]; the same bits for equal rows."""
    mean = x.mean(axis=0, dtype=np.float64)
    cosines = np.empty(len(x))
    for some in blocks(len(x), x.shape[1]):
        np.einsum("nd,d->n", x[some].astype(np.float64), mean, out=cosines[some])
    return cosines
