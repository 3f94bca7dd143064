"""Clusters of embeddings by k-means."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nextlabel_server.selection import draws
from nextlabel_server.selection.clusters import Clusters
from nextlabel_server.selection.constraints import Constraints
from nextlabel_server.selection.distances import Doubles, Matrix, blocks, exact_squared, variance
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.spread import EmbeddingSpread, WeightedSpread

_ITERATIONS = 50
_TOLERANCE = 1e-4  # of the mean variance, as in scikit-learn


@dataclass(frozen=True, slots=True)
class Clustering:
    """K clusters: `labels` [N] tell each row's, `squared` [N] its distance² to their centres.

    `centers` are [K, D]. A cluster may be empty.
    """

    labels: Rows
    squared: Doubles
    centers: Matrix

    @property
    def sizes(self) -> Rows:
        """How many rows each cluster has, [K]."""
        sizes: Rows = np.bincount(self.labels, minlength=len(self.centers))
        return sizes

    def members(self) -> list[Rows]:
        """The rows of each cluster, ascending."""
        in_order = np.argsort(self.labels, kind="stable")
        return np.split(in_order, np.cumsum(self.sizes)[:-1])


def k_means(
    x: Matrix,
    count: int,
    rng: np.random.Generator,
    check: Callable[[], object],
    weights: Doubles | None = None,
) -> Clustering:
    """At most `count` clusters of rows [N, D], N ≥ 1; fewer when fewer rows are different.

    k-means++ (Arthur & Vassilvitskii 2007), then `lloyd`. Not scipy's kmeans2, which holds all
    [N, K] distances at once. `check` is called now and then. With `weights` [N], at least 0 and
    not all 0, a row counts as so many.
    """
    return lloyd(x, x[starts(x, count, rng, check, weights)], check, weights)


def starts(
    x: Matrix,
    count: int,
    rng: np.random.Generator,
    check: Callable[[], object],
    weights: Doubles | None = None,
) -> Rows:
    """At most `count` different rows: one at random, then in proportion to squared distance."""
    starting = Picking(len(x), min(count, len(x)), Constraints(), check=check)
    spread: draws.Spread = EmbeddingSpread(x, check)
    if weights is None:
        first = int(rng.integers(len(x)))
    else:
        first = draws.weighted_row(weights, starting, rng)
        spread = WeightedSpread(spread, weights)
    starting.take(first, np.inf)
    draws.pick_by_squared_distance(spread, starting, rng, first)
    return starting.rows[starting.gains > 0]


def lloyd(
    x: Matrix,
    centers: Matrix,
    check: Callable[[], object],
    weights: Doubles | None = None,
) -> Clustering:
    """Moves each centre to the mean of the rows that are nearest to it, until they rest.

    That is when the centres' squared moves together are at most 1e-4 of the mean variance of a
    dimension, or after 50 moves. The mean of no rows is where the centre was.
    """
    check()
    resting = _TOLERANCE * variance(x) / x.shape[1]
    for _ in range(_ITERATIONS):
        check()
        moved = _means(x, _nearest(x, centers, check).labels, centers, check, weights)
        move = float(exact_squared(moved, centers).sum())
        centers = moved
        if move <= resting:
            break
    return _nearest(x, centers, check)


def _nearest(x: Matrix, centers: Matrix, check: Callable[[], object]) -> Clustering:
    """Each row with its nearest centre, the lower of two as near."""
    clusters = Clusters(x, check)
    clusters.add(centers)
    return Clustering(clusters.nearest, clusters.squared, centers)


def _means(
    x: Matrix,
    labels: Rows,
    centers: Matrix,
    check: Callable[[], object],
    weights: Doubles | None,
) -> Matrix:
    """The mean of each cluster's rows, [K, D], weighted where there are weights."""
    sums = np.zeros(centers.shape)
    for rows in blocks(len(x), x.shape[1]):
        check()
        in_order = np.argsort(labels[rows], kind="stable")
        sorted_labels = labels[rows][in_order]
        first = np.flatnonzero(np.diff(sorted_labels, prepend=-1))
        values = x[rows][in_order].astype(np.float64)
        if weights is not None:
            values *= weights[rows][in_order, None]
        sums[sorted_labels[first]] += np.add.reduceat(values, first, axis=0)
    sizes = np.bincount(labels, weights, minlength=len(centers))
    filled = sizes > 0
    moved = np.where(filled[:, None], sums / np.where(filled, sizes, 1)[:, None], centers)
    return moved.astype(np.float32)
