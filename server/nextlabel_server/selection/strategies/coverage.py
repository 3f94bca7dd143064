"""Batches that stand for the pool: each row is to be near, or similar to, a pick."""

import numpy as np

from nextlabel_server.selection import lazy, pairs
from nextlabel_server.selection.balls import Balls, largest_pure_radius
from nextlabel_server.selection.distances import Matrix
from nextlabel_server.selection.facilities import Facilities
from nextlabel_server.selection.kmeans import k_means
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.registry import Sizes, whole_pool
from nextlabel_server.selection.similarity import (
    BANDWIDTH,
    SIMILARITY,
    Cosine,
    Gaussian,
    Similarity,
)
from nextlabel_server.selection.tensors import EMBEDDINGS, LABELED_EMBEDDINGS, SIMILAR_EMBEDDINGS

_ALIKE = 1e-12  # of a row's similarity: what float64 sums over all rows cannot tell apart


def _bytes_of(s: Sizes) -> int:
    return 4 * s.N * s.D + 4 * s.L * s.D + 100 * s.N + (48 << 20)


def _bytes_with_pairs(s: Sizes) -> int:
    return _bytes_of(s) + 16 * pairs.most(s.N)


@whole_pool(
    formula="Σ_i max(s_ij − max_{k labeled or picked} s_ik, 0), a maximum over none being 0",
    reference="Mirzasoleiman et al. 2015, Lazier than lazy greedy; Minoux 1978",
    tensors=(SIMILAR_EMBEDDINGS, LABELED_EMBEDDINGS),
    parameters=(SIMILARITY, BANDWIDTH),
    time="O(N²·D), and O(N·D) for each gain that is computed again",
    memory="4·N·D + 4·L·D + 100·N + 16·min(N²/4, 2²³) + 48 MiB",
    bytes_of=_bytes_with_pairs,
    covers=True,
)
def facility_location(pool: Pool, picking: Picking, *, similarity: str, bandwidth: float) -> None:
    """Picks the row that raises most how similar all rows are to their most similar pick.

    The picks are those of plain greedy picking; gains within 1e-12·N of each other are alike. A
    negative cosine counts as 0, which keeps gains from growing.
    """
    if not picking.wants_more:
        return
    cosine = similarity == "cosine"
    _pick_facilities(
        pool, picking, Cosine() if cosine else Gaussian.fit(bandwidth, pool.embeddings)
    )


@whole_pool(
    formula="1/N·Σ_i max(k(x_i, x_j) − max_{l labeled or picked} k(x_i, x_l), 0)",
    reference="Bae, Noh & Sutherland 2024, MaxHerding, arXiv:2407.12212",
    tensors=(EMBEDDINGS, LABELED_EMBEDDINGS),
    parameters=(BANDWIDTH,),
    time="O(N²·D), and O(N·D) for each gain that is computed again",
    memory="4·N·D + 4·L·D + 100·N + 16·min(N²/4, 2²³) + 48 MiB",
    bytes_of=_bytes_with_pairs,
    covers=True,
)
def max_herding(pool: Pool, picking: Picking, *, bandwidth: float) -> None:
    """Picks the row that raises most the generalized coverage of the pool.

    Coverage is the mean kernel value of a row and what is nearest to it of all that is labeled
    or picked; the kernel is e^(−d²/h²). In the paper rows have length 1 (`metric` cosine) and h
    is 1. Gains within 1e-12 of each other are alike.
    """
    if picking.wants_more:
        similarity = Gaussian.fit(bandwidth, pool.embeddings)
        _pick_facilities(pool, picking, similarity, share=1 / pool.row_count)


@whole_pool(
    formula="number of rows nearer than δ that are not near a labeled or picked row",
    reference="Yehuda et al. 2022, ProbCover, arXiv:2205.11320",
    tensors=(EMBEDDINGS, LABELED_EMBEDDINGS),
    parameters=(
        Parameter(
            "delta",
            float,
            "δ, the radius of the balls. 0: the largest with which the share `purity` of all "
            "balls hold rows of one cluster only.",
            default=0.0,
            minimum=0,
            maximum=1e18,
        ),
        Parameter(
            "purity",
            float,
            "α, the share of balls that are to be pure when δ is chosen.",
            default=0.95,
            exclusive_minimum=True,
            minimum=0,
            maximum=1,
        ),
        Parameter(
            "clusters",
            int,
            "How many clusters stand in for the classes when δ is chosen; the number of classes "
            "is right.",
            default=10,
            minimum=1,
            maximum=10_000,
        ),
    ),
    time="O(N²·D)",
    memory="4·N·D + 4·L·D + 120·N + 16·K·D + 48 MiB, K ≤ 10 000 clusters",
    bytes_of=lambda s: _bytes_of(s) + 20 * s.N + 16 * 10_000 * s.D,
    stochastic=True,
    covers=True,
)
def prob_cover(pool: Pool, picking: Picking, *, delta: float, purity: float, clusters: int) -> None:
    """Picks the row whose ball holds most rows that are in no ball yet.

    A ball holds what is nearer to its centre than δ, as in the authors' code. When every row is
    covered the lowest row comes next. Only the choice of δ, by k-means, is random.
    """
    if not pool.row_count:
        return
    x = pool.embeddings
    if not delta:
        labels = k_means(x, clusters, pool.rng, picking.check).labels
        delta = largest_pure_radius(x, labels, purity, picking.check)
    balls = Balls(x, delta, picking.check)
    balls.add(_labeled(pool))
    alone = balls.counts.copy()
    while picking.wants_more:
        row = picking.best(balls.counts)
        picking.take(row, float(balls.counts[row]))
        balls.add(x[row : row + 1])
    picking.settle(alone)


def _pick_facilities(
    pool: Pool, picking: Picking, similarity: Similarity, share: float = 1.0
) -> None:
    """Picks by the gains of `Facilities`, times `share`."""
    facilities = Facilities(pool.embeddings, similarity, picking.check)
    facilities.add(_labeled(pool))
    every = np.arange(pool.row_count)
    alone = facilities.gains_of(every) if picking.picks_close_others else None
    rough = facilities.rough_gains() if alone is None else alone
    bounds = (facilities.bounds_of(every) if rough is None else rough) * share
    for row in lazy.picks(
        picking,
        bounds,
        lambda rows: facilities.gains_of(rows) * share,
        bounds_of=lambda rows: facilities.bounds_of(rows) * share,
        bounded=lambda: facilities.listed,
        alike=_ALIKE * pool.row_count * share,
    ):
        facilities.pick(row, picking.left)
        rough = facilities.rough_gains()
        if rough is not None:
            np.minimum(bounds, rough * share, out=bounds)
    if alone is not None:
        picking.settle(alone * share)


def _labeled(pool: Pool) -> Matrix:
    labeled: Matrix = pool.references.get("labeled_embeddings", pool.embeddings[:0])
    return labeled
