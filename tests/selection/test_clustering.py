"""Clustering: k-means itself, then k_means and typiclust on its clusters."""

import tracemalloc

import numpy as np
import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled
from nextlabel_server.selection import Constraints, Sizes, kmeans, strategy_named
from nextlabel_server.selection.clusters import Clusters
from nextlabel_server.selection.constraints import Limits
from nextlabel_server.selection.pool import far_middle
from tests.selection.pools import picking_of

ROWS = 120


def embeddings(kind, rows=ROWS):
    rng = np.random.default_rng(3)
    return {
        "random": rng.normal(size=(rows, 6)),
        "grid": rng.integers(1, 4, size=(rows, 3)).astype(float),
        "copies": np.repeat(rng.normal(size=(rows // 10, 5)), 10, axis=0),
        "a line": rng.normal(size=(rows, 1)),
        "blobs": 9 * rng.normal(size=(4, 8))[rng.integers(0, 4, rows)] + rng.normal(size=(rows, 8)),
    }[kind].astype(np.float32)


KINDS = ["random", "grid", "copies", "a line", "blobs"]


def clusters_of(x, count, seed=0):
    """The clusters that the strategies work on, of rows that are far from the origin moved."""
    moved = x - far_middle(x)
    found = kmeans.k_means(moved, count, np.random.default_rng(seed), lambda: None)
    return moved, found


def plain_lloyd(x, centers):
    """Lloyd's algorithm with every distance from differences, for 50 moves at most."""
    x, centers = x.astype(float), centers.astype(float)
    for _ in range(50):
        labels = ((x[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
        moved = np.array(
            [
                x[labels == k].mean(axis=0) if (labels == k).any() else centers[k]
                for k in range(len(centers))
            ]
        ).astype(np.float32)
        move = ((moved - centers) ** 2).sum()
        centers = moved.astype(float)
        if move <= 1e-4 * x.var(axis=0).mean():
            break
    return ((x[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1), centers


@pytest.mark.parametrize("kind", KINDS)
def test_centres_move_as_in_the_plain_loop(kind):
    x = embeddings(kind)
    centers = x[[0, 17, 31, 50, 77, 101]]
    found = kmeans.lloyd(x, centers, lambda: None)
    labels, expected = plain_lloyd(x, centers)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.centers, expected, atol=1e-5)


def test_two_pairs_by_hand():
    x = np.array([[0.0], [1], [10], [11]], dtype=np.float32)
    found = kmeans.lloyd(x, x[[0, 1]], lambda: None)
    assert found.centers.ravel().tolist() == [0.5, 10.5]
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.squared.tolist() == [0.25] * 4


def test_there_are_no_more_clusters_than_different_rows():
    for count, clusters in ((5, 5), (12, 12), (40, 12)):
        x = embeddings("copies")
        found = kmeans.k_means(x, count, np.random.default_rng(0), lambda: None)
        assert len(found.centers) == clusters
        assert found.sizes.sum() == ROWS


def test_starts_are_drawn_in_proportion_to_squared_distance():
    """From 0, 1 and 3: after 0 come 1 and 3 as 1 to 9; after 1, 0 and 3 as 1 to 4; after 3, 9:4."""
    x = np.array([[0.0], [1], [3]], dtype=np.float32)
    drawn = [
        tuple(kmeans.starts(x, 2, np.random.default_rng(seed), lambda: None))
        for seed in range(3000)
    ]
    expected = {
        (0, 1): 1 / 30,
        (0, 2): 9 / 30,
        (1, 0): 1 / 15,
        (1, 2): 4 / 15,
        (2, 0): 9 / 39,
        (2, 1): 4 / 39,
    }
    for pair, share in expected.items():
        assert drawn.count(pair) / len(drawn) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_k_means_picks_the_row_nearest_each_centre_larger_clusters_first(kind):
    x, count = embeddings(kind), 8
    moved, found = clusters_of(x, count)
    picking = picking_of("k_means", count, embeddings=x)
    picked = found.labels[picking.rows]
    assert len(set(picked.tolist())) == min(count, len(found.centers))
    sizes = found.sizes[picked]
    assert sizes.tolist() == sorted(found.sizes, reverse=True)[: len(sizes)]
    np.testing.assert_array_equal(picking.gains, sizes)
    for row, cluster in zip(picking.rows, picked, strict=True):
        members = np.flatnonzero(found.labels == cluster)
        squared = ((moved[members].astype(float) - found.centers[cluster]) ** 2).sum(axis=1)
        assert row == members[squared.argmin()]


def test_a_cluster_gives_a_second_row_when_all_have_given_one():
    x = np.array([[0.0], [0], [0], [9], [9]])
    assert picking_of("k_means", 5, embeddings=x).rows.tolist() == [0, 3, 1, 4, 2]


def test_a_closed_row_gives_way_to_the_next_nearest_of_its_cluster():
    x = np.array([[0.0], [1], [3], [20], [21]])
    picking = picking_of(
        "k_means", 2, embeddings=x, constraints=Constraints(excluded=np.array([1]))
    )
    assert picking.rows.tolist() == [0, 3]


def typicality(x, members, count):
    between = np.linalg.norm(x[members].astype(float)[:, None] - x[members], axis=2)
    between[np.arange(len(members)), np.arange(len(members))] = np.inf
    count = min(count, len(members) - 1)
    near = np.sort(between, axis=1)[:, :count]
    return 1 / (near.mean(axis=1) + 1e-5) if count else np.zeros(1)


@pytest.mark.parametrize("labeled", [0, 4])
@pytest.mark.parametrize("kind", ["random", "a line", "blobs"])
def test_typiclust_picks_the_most_typical_of_clusters_without_labels(kind, labeled):
    x, count = embeddings(kind), 6
    moved, found = clusters_of(x, count + labeled)
    context = x[:labeled]
    picking = picking_of("typiclust", count, embeddings=x, labeled_embeddings=context, neighbors=5)
    labels = np.bincount(found.labels[:labeled], minlength=len(found.centers))
    lowest = [np.flatnonzero(found.labels == k)[0] for k in range(len(found.centers))]
    in_order = sorted(range(len(labels)), key=lambda k: (labels[k], -found.sizes[k], lowest[k]))
    assert labels[in_order[:count]].max() == 0
    for row, gain, cluster in zip(picking.rows, picking.gains, in_order, strict=False):
        members = np.flatnonzero(found.labels == cluster)
        typical = typicality(moved, members, 5)
        assert row == members[typical.argmax()]
        assert gain == pytest.approx(typical.max())


def test_copies_are_the_most_typical_and_their_typicality_is_finite():
    x = np.array([[0.0], [5], [5], [5], [7]])
    picking = picking_of("typiclust", 1, embeddings=x, neighbors=2)
    assert picking.rows.tolist() == [1]
    assert picking.gains == pytest.approx([1e5])


@pytest.mark.parametrize("name", ["k_means", "typiclust"])
def test_constraints_are_kept_and_the_budget_is_used(name):
    x = embeddings("random")
    groups = np.arange(ROWS) % 3
    limits = Limits(max_per_group=4, min_distance=0.5)
    constraints = Constraints(limits, np.arange(30), groups=groups, places=x)
    rows = picking_of(name, 12, embeddings=x, constraints=constraints).rows
    assert rows.min() >= 30
    assert np.bincount(groups[rows]).tolist() == [4, 4, 4]
    between = np.linalg.norm(x[rows][:, None] - x[rows], axis=2)
    assert between[np.triu_indices(12, 1)].min() >= 0.5


@pytest.mark.parametrize("name", ["k_means", "typiclust"])
def test_cancel_is_noticed_while_clusters_are_made(name):
    class Later(CancelToken):
        looks = 0

        def check(self):
            self.looks += 1
            if self.looks > 12:
                raise Cancelled

    later = Later()
    with pytest.raises(Cancelled):
        picking_of(name, 10, embeddings=embeddings("random"), cancel=later)
    assert later.looks == 13


def test_a_large_cluster_takes_no_more_memory_than_is_declared():
    x = np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32)
    tracemalloc.start()
    picking_of("typiclust", 1, embeddings=x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.2 * strategy_named("typiclust").bytes_of(Sizes(N=5000, B=1, D=4))


def test_distances_to_all_centres_are_never_held_at_once():
    x = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    clusters = Clusters(x, lambda: None)
    tracemalloc.start()
    clusters.add(x[:1000])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 48 << 20  # all of them would take 76 MiB in float32
