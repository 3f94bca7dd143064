"""Batches spread over clusters of unsure rows."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.cluster import hierarchy  # average linkage in C, in O(n²): no selection in itself

from nextlabel_server.selection import ranking
from nextlabel_server.selection.distances import Matrix, between, blocks
from nextlabel_server.selection.kmeans import k_means
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.tensors import EMBEDDINGS, PROBABILITIES
from nextlabel_server.selection.turns import take_in_turn

_MOST_CANDIDATES = 4096
_MOST_FACTOR = 100


@whole_pool(
    formula="1 − (p(1) − p(2))",
    reference="Citovsky et al. 2021, Batch active learning at scale, arXiv:2107.14263",
    tensors=(PROBABILITIES, EMBEDDINGS),
    parameters=(
        Parameter(
            "factor",
            int,
            "k: the k·B rows of least margin are clustered, at most 4096 of them (or B).",
            default=10,
            minimum=1,
            maximum=_MOST_FACTOR,
        ),
    ),
    time="O(N·D + (k·B)²·D)",
    memory="4·N·D + 64·N + 8·m² + 24·m·D + 32 MiB, m = min(N, 100·B, 4096)",
    bytes_of=lambda s: (
        4 * s.N * s.D
        + 64 * s.N
        + 8 * (m := min(s.N, _MOST_FACTOR * s.B, _MOST_CANDIDATES)) ** 2
        + 24 * m * s.D
        + (32 << 20)
    ),
    stochastic=True,
    base="margin",
)
def cluster_margin(pool: Pool, picking: Picking, *, factor: int) -> None:
    """Takes rows of little margin by turns from each of their clusters, the smallest first.

    Clusters are those of average linkage, cut into as many as there are picks to make (the paper
    leaves the cut open). Of a cluster whose turn it is, a random row is taken, as in the paper.
    Should constraints close all of the k·B rows too soon, the next ones are clustered.
    """
    while picking.wants_more:
        wanted = picking.left
        count = max(wanted, min(factor * wanted, _MOST_CANDIDATES))
        rows = ranking.top(pool.scores, count, picking.open)
        labels = _average_linkage(pool.embeddings[rows], wanted, picking.check)
        _take_in_turns(pool, picking, _smallest_first(rows, labels))


@whole_pool(
    formula="sum of the entropies in the cluster of the pick",
    reference="Prabhu et al. 2021, CLUE, arXiv:2010.08666",
    tensors=(PROBABILITIES, EMBEDDINGS),
    time="O(N·B·D) for each of at most 50 moves of the centres",
    memory="4·N·D + 16·B·D + 96·N + 48 MiB",
    bytes_of=lambda s: 4 * s.N * s.D + 16 * s.B * s.D + 96 * s.N + (48 << 20),
    stochastic=True,
    base="entropy",
    covers=True,
)
def clue(pool: Pool, picking: Picking) -> None:
    """Makes B clusters in which a row counts by its entropy, and picks the row nearest each centre.

    The cluster with the largest sum of entropies comes first. All rows are clustered, also those
    that may not be picked; when all are sure, all count the same. A second row of a cluster is
    picked only when every cluster with rows left has given one.
    """
    if not picking.wants_more:
        return
    weights = pool.scores if pool.scores.any() else np.ones(pool.row_count)
    found = k_means(pool.embeddings, picking.left, pool.rng, picking.check, weights)
    members = found.members()
    sizes = np.bincount(found.labels, weights, minlength=len(members)).astype(np.float64)

    def nearest_first(cluster: int) -> Iterator[tuple[int, float]]:
        rows = members[cluster]
        for row in rows[np.argsort(found.squared[rows], kind="stable")].tolist():
            yield row, float(sizes[cluster])

    take_in_turn(picking, members, nearest_first, np.zeros(len(members), np.int64), sizes)


def _average_linkage(x: Matrix, count: int, check: Callable[[], object]) -> Rows:
    """The cluster of each row [n, D], at most `count` of them, by average linkage."""
    if len(x) <= count:
        return np.arange(len(x))
    apart = np.empty(len(x) * (len(x) - 1) // 2)  # row by row, each with those after it
    end = 0
    for some in blocks(len(x), len(x)):
        check()
        for i, to_all in enumerate(between(x[some], x), some.start):
            start, end = end, end + len(x) - i - 1
            apart[start:end] = to_all[i + 1 :]
    tree = hierarchy.linkage(apart, method="average")
    labels: Rows = hierarchy.fcluster(tree, count, criterion="maxclust")
    return labels


def _smallest_first(rows: Rows, labels: Rows) -> list[Rows]:
    """The rows of each cluster, the smallest first, then that of the earliest row."""
    _, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    return [rows[labels == labels[first[i]]] for i in np.lexsort((first, sizes))]


def _take_in_turns(pool: Pool, picking: Picking, clusters: list[Rows]) -> None:
    """Takes a random open row of each cluster in turn, until none is left."""
    while clusters and picking.wants_more:
        left = []
        for cluster in clusters:
            possible = cluster[picking.open[cluster]]
            if len(possible) and picking.wants_more:
                at = int(pool.rng.integers(len(possible)))
                row = int(possible[at])
                picking.take(row, float(pool.scores[row]))
                left.append(np.delete(possible, at))
        clusters = left
