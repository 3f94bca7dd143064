"""Clusters of unsure rows: cluster_margin and clue."""

import numpy as np
import pytest

from nextlabel_server.selection import Constraints
from nextlabel_server.selection.constraints import Limits
from nextlabel_server.selection.kmeans import k_means, lloyd
from tests.selection.pools import picking_of

RNG = np.random.default_rng(19)


def binary(margins):
    """Rows of two classes with these margins."""
    margins = np.asarray(margins, float)
    return np.stack([(1 + margins) / 2, (1 - margins) / 2], axis=1)


def average_linkage(x, count):
    """Joins the two clusters with the least mean distance until `count` are left."""
    clusters = [[i] for i in range(len(x))]
    between = np.sqrt(((x[:, None] - x) ** 2).sum(axis=2))
    while len(clusters) > count:
        pairs = [(a, b) for b in range(len(clusters)) for a in range(b)]
        means = [between[np.ix_(clusters[a], clusters[b])].mean() for a, b in pairs]
        a, b = pairs[int(np.argmin(means))]
        clusters[a] += clusters.pop(b)
    return clusters


def slow_cluster_margin(p, x, count, factor, seed):
    rng = np.random.default_rng(seed)
    margins = p[:, 0] - p[:, 1]
    candidates = np.lexsort((np.arange(len(p)), margins))[: factor * count]
    clusters = average_linkage(x[candidates], count)
    clusters = sorted((sorted(c) for c in clusters), key=lambda c: (len(c), c[0]))
    clusters = [[int(candidates[i]) for i in c] for c in clusters]
    rows = []
    while len(rows) < count:
        for cluster in clusters:
            if cluster and len(rows) < count:
                rows.append(cluster.pop(int(rng.integers(len(cluster)))))
    return rows


@pytest.mark.parametrize("factor", [1, 3, 6])
@pytest.mark.parametrize("dimensions", [1, 5])
def test_cluster_margin_picks_as_the_paper_has_it(factor, dimensions):
    x, p = RNG.normal(size=(80, dimensions)), binary(RNG.random(80))
    picking = picking_of("cluster_margin", 8, probabilities=p, embeddings=x, factor=factor, seed=4)
    assert picking.rows.tolist() == slow_cluster_margin(p, x, 8, factor, 4)
    np.testing.assert_allclose(picking.gains, 1 - (p[:, 0] - p[:, 1])[picking.rows])


def test_cluster_margin_by_hand():
    """Of the 6 rows of least margin, {5}, {1, 4} and {0, 2, 3} are together; row 6 is too sure."""
    x = np.array([[0.0], [10.0], [0.1], [0.2], [10.1], [50.0], [90.0]])
    p = binary([0.1, 0.2, 0.3, 0.15, 0.25, 0.5, 0.9])
    for seed in range(20):
        picking = picking_of(
            "cluster_margin", 3, probabilities=p, embeddings=x, factor=2, seed=seed
        )
        first, second, third = picking.rows
        assert first == 5
        assert second in (1, 4)
        assert third in (0, 2, 3)


def test_cluster_margin_goes_on_below_when_a_quota_closes_its_candidates():
    x, p = RNG.normal(size=(100, 2)), binary(np.linspace(0, 0.9, 100))
    groups = np.repeat([0, 1], 50)
    picking = picking_of(
        "cluster_margin",
        4,
        probabilities=p,
        embeddings=x,
        constraints=Constraints(Limits(max_per_group=2), groups=groups),
    )
    assert np.bincount(groups[picking.rows]).tolist() == [2, 2]


def test_clue_picks_the_row_nearest_the_weighted_centre():
    """Around 0 to 4 row 4 weighs by far the most, so the centre is near it and not in the middle.

    The clusters' entropies are about ln 2 and 2·ln 2, so the second one comes first.
    """
    x = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [100.0], [101.0]])
    p = binary([0.999, 0.999, 0.999, 0.999, 0.0, 0.0, 0.0])
    sure = -(0.9995 * np.log(0.9995) + 0.0005 * np.log(0.0005))
    for seed in range(10):
        picking = picking_of("clue", 2, probabilities=p, embeddings=x, seed=seed)
        assert picking.rows.tolist() == [5, 4]
        np.testing.assert_allclose(picking.gains, [2 * np.log(2), np.log(2) + 4 * sure], rtol=1e-6)


def test_clue_takes_sure_rows_as_alike():
    picking = picking_of(
        "clue", 2, probabilities=[[1.0, 0.0]] * 5, embeddings=[[0.0], [1], [2], [50], [51]]
    )
    assert picking.rows.tolist() == [1, 3]
    assert picking.gains.tolist() == [3, 2]


def test_whole_weights_are_rows_that_come_as_often():
    x, weights = RNG.normal(size=(200, 3)).astype(np.float32), RNG.integers(1, 5, 200)
    x[:100] += 20
    centers = x[[3, 150]]
    weighted = lloyd(x, centers, lambda: None, weights.astype(float))
    repeated = lloyd(np.repeat(x, weights, axis=0), centers, lambda: None)
    np.testing.assert_allclose(weighted.centers, repeated.centers, rtol=1e-5)
    np.testing.assert_array_equal(np.repeat(weighted.labels, weights), repeated.labels)


def test_rows_without_weight_start_no_cluster():
    x = RNG.normal(size=(50, 2)).astype(np.float32)
    weights = np.zeros(50)
    weights[[7, 30]] = 1
    found = k_means(x, 10, np.random.default_rng(0), lambda: None, weights)
    assert sorted(map(tuple, found.centers)) == sorted(map(tuple, x[[7, 30]]))
