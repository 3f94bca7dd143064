"""Batches with a row of each cluster, so that no place of the pool is asked about twice."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist

from nextlabel_server.selection import distances
from nextlabel_server.selection.clusters import Clusters
from nextlabel_server.selection.distances import Doubles, Matrix
from nextlabel_server.selection.kmeans import k_means as clusters_of
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.tensors import EMBEDDINGS, LABELED_EMBEDDINGS
from nextlabel_server.selection.turns import take_in_turn

_MOST_CLUSTERS = 500
_FINITE = 1e-5  # keeps the typicality of copies finite, as in the authors' code


@whole_pool(
    formula="number of rows in the cluster of the pick",
    reference="Bodó, Minier & Csató 2011, Active learning with clustering, PMLR 16",
    tensors=(EMBEDDINGS,),
    time="O(N·B·D) for each of at most 50 moves of the centres",
    memory="4·N·D + 16·B·D + 80·N + 48 MiB",
    bytes_of=lambda s: 4 * s.N * s.D + 16 * s.B * s.D + 80 * s.N + (48 << 20),
    stochastic=True,
    covers=True,
)
def k_means(pool: Pool, picking: Picking) -> None:
    """Makes B clusters and picks the row nearest the centre of each, larger clusters first.

    All rows are clustered, also those that may not be picked. A second row of a cluster is
    picked only when every cluster with rows left has given one: where rows are copies, or a
    constraint has closed a cluster. Costs take rows away but do not change the order.
    """
    if not picking.wants_more:
        return
    found = clusters_of(pool.embeddings, picking.left, pool.rng, picking.check)
    members = found.members()

    def nearest_first(cluster: int) -> Iterator[tuple[int, float]]:
        rows = members[cluster]
        for row in rows[np.argsort(found.squared[rows], kind="stable")].tolist():
            yield row, float(len(rows))

    take_in_turn(picking, members, nearest_first, np.zeros(len(members), np.int64))


@whole_pool(
    formula="1/(mean distance to the k nearest rows of the cluster + 1e-5)",
    reference="Hacohen, Dekel & Weinshall 2022, TypiClust, arXiv:2202.02794",
    tensors=(EMBEDDINGS, LABELED_EMBEDDINGS),
    parameters=(
        Parameter(
            "neighbors",
            int,
            "k: how many nearest rows a row's typicality is measured by; all others of the "
            "cluster where it has fewer.",
            default=20,
            minimum=1,
            maximum=1000,
        ),
    ),
    time="O(N·K·D) for each of at most 50 moves of the centres, K = min(L + B, 500) clusters; "
    "O(n²·D) for each cluster of n rows that is picked from",
    memory="16·N·D + 4·L·D + 8000·D + 100·N + 24·L + 48 MiB",
    bytes_of=lambda s: (
        16 * s.N * s.D
        + 4 * s.L * s.D
        + 16 * _MOST_CLUSTERS * s.D
        + 100 * s.N
        + 24 * s.L
        + (48 << 20)
    ),
    stochastic=True,
    covers=True,
)
def typiclust(pool: Pool, picking: Picking, *, neighbors: int) -> None:
    """Picks the most typical row of clusters without labels, the larger first.

    There are min(L + B, 500) clusters, as in the paper, made of the pool's rows; a labeled row
    belongs to the one with the nearest centre. A pick counts as a label from then on. Costs take
    rows away but do not change the order.
    """
    if not picking.wants_more:
        return
    labeled = pool.references.get("labeled_embeddings")
    count = picking.left + (0 if labeled is None else len(labeled))
    x = pool.embeddings
    found = clusters_of(x, min(count, _MOST_CLUSTERS), pool.rng, picking.check)
    members = found.members()

    def typical_first(cluster: int) -> Iterator[tuple[int, float]]:
        rows = members[cluster]
        gains = _typicality(x[rows], neighbors, picking)
        for i in np.argsort(-gains, kind="stable").tolist():
            yield int(rows[i]), float(gains[i])

    take_in_turn(picking, members, typical_first, _labels(labeled, found.centers, picking))


def _typicality(x: Matrix, neighbors: int, picking: Picking) -> Doubles:
    """1/(mean distance to the nearest others + 1e-5) of each row, [n]; 0 for a lone one."""
    count = min(neighbors, len(x) - 1)
    if count == 0:
        return np.zeros(len(x))
    gains = np.empty(len(x))
    for some in distances.blocks(len(x), len(x)):
        picking.check()
        # From differences, each pair by itself: copies are exactly as typical as each other.
        near = np.partition(cdist(x[some], x), count, axis=1)[:, : count + 1]
        near.sort(axis=1)
        gains[some] = 1 / (near[:, 1:].mean(axis=1) + _FINITE)
    return gains


def _labels(labeled: Matrix | None, centers: Matrix, picking: Picking) -> Rows:
    """How many labeled rows are nearest to each centre, [K]."""
    if labeled is None or not len(labeled):
        return np.zeros(len(centers), dtype=np.int64)
    clusters = Clusters(labeled, picking.check)
    clusters.add(centers)
    counts: Rows = np.bincount(clusters.nearest, minlength=len(centers))
    return counts
