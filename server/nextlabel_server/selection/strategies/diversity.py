"""Batches that cover the pool: picks that are far from each other and near to everything."""

import numpy as np

from nextlabel_server.selection import distances, draws, greedy
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.spread import EmbeddingSpread
from nextlabel_server.selection.tensors import EMBEDDINGS, LABELED_EMBEDDINGS


@whole_pool(
    formula="min_{j labeled or picked} d(x_i, x_j)",
    reference="Sener & Savarese 2018, arXiv:1708.00489; Gonzalez 1985",
    tensors=(EMBEDDINGS, LABELED_EMBEDDINGS),
    time="O((N + B)·B·D)",
    memory="4·N·D + 12·L·D + 8·B·D + 64·N + 16 MiB",
    bytes_of=lambda s: (4 * s.N + 12 * s.L + 8 * s.B) * s.D + 64 * s.N + (16 << 20),
    aliases=("greedy_x", "coreset"),
    covers=True,
)
def k_center(pool: Pool, picking: Picking) -> None:
    """Picks the row that is farthest from all that is labeled or picked, again and again.

    With nothing labeled the first pick is the row nearest the mean, and its gain the distance to
    it. Exact: the picks are those of the plain loop in float64, though most work is float32.
    """
    x = pool.embeddings
    cover = distances.Cover(x, picking.check)
    labeled = pool.references.get("labeled_embeddings")
    if labeled is not None and len(labeled):
        cover.add(labeled)
    elif picking.wants_more:
        first, gain = distances.nearest_to_mean(x, picking.open)
        picking.take(first, gain)
        cover.add(x[first : first + 1])
    greedy.pick(cover, picking, lambda squared, _rows, _picks: np.sqrt(squared))


@whole_pool(
    formula="min_{j labeled or picked} d(x_i, x_j)², 0 for a first pick that nothing is before",
    reference="Arthur & Vassilvitskii 2007, k-means++",
    tensors=(EMBEDDINGS, LABELED_EMBEDDINGS),
    time="O(N·B·D)",
    memory="4·N·D + 12·L·D + 8·B·D + 64·N + 16 MiB",
    bytes_of=lambda s: (4 * s.N + 12 * s.L + 8 * s.B) * s.D + 64 * s.N + (16 << 20),
    stochastic=True,
    covers=True,
)
def k_means_pp(pool: Pool, picking: Picking) -> None:
    """Draws rows in proportion to the squared distance to the nearest that is labeled or picked.

    With nothing labeled the first pick is any row alike. Copies of picks have no chance until
    there is no other row, and then all have the same. With costs, chances are for each unit of
    cost.
    """
    if not picking.wants_more:
        return
    labeled = pool.references.get("labeled_embeddings")
    first = None
    if labeled is None or not len(labeled):
        labeled = None
        first = draws.weighted_row(np.ones(pool.row_count), picking, pool.rng)
        picking.take(first, 0.0)
    spread = EmbeddingSpread(pool.embeddings, picking.check, labeled)
    draws.pick_by_squared_distance(spread, picking, pool.rng, first)
