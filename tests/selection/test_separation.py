"""GIST, against the algorithm as the paper has it and against the best of all batches."""

import itertools

import numpy as np
import pytest

from nextlabel_server.selection import Constraints
from nextlabel_server.selection.constraints import Limits
from tests.selection.pools import picking_of, share_of_memory

RNG = np.random.default_rng(13)


def distance(x, i, j):
    return np.sqrt(((x[i].astype(float) - x[j].astype(float)) ** 2).sum())


def widest(x):
    return max(distance(x, i, j) for i, j in itertools.combinations(range(len(x)), 2))


def value(x, u, rows, weight, lone):
    """f(S); the least distance of a lone row is the largest there is."""
    least = min((distance(x, i, j) for i, j in itertools.combinations(rows, 2)), default=lone)
    return u[list(rows)].sum() + weight * least


def by_score(u):
    return np.lexsort((np.arange(len(u)), -u)).tolist()


def greedy_independent_set(x, u, count, threshold, groups=None, quota=None):
    """The best row that is as far as `threshold` from all that were taken, again and again."""
    rows = []
    for _ in range(count):
        far = [
            v
            for v in by_score(u)
            if v not in rows
            and all(distance(x, v, row) >= threshold for row in rows)
            and (quota is None or sum(groups[row] == groups[v] for row in rows) < quota)
        ]
        if not far:
            break
        rows.append(far[0])
    return rows


def slow(x, u, count, weight, epsilon, **limits):
    """Algorithm 1 of the paper; d_max by two passes, whose two pairs both count."""
    in_order = by_score(u)

    def farthest(row):
        return in_order[int(np.argmax([distance(x, row, j) for j in in_order]))]

    first = in_order[0]
    middle = farthest(first)
    end = farthest(middle)
    d_max = distance(x, middle, end)
    best = greedy_independent_set(x, u, count, 0.0, **limits)
    batches = [sorted(pair, key=in_order.index) for pair in ((first, middle), (middle, end))]
    for i in itertools.count():
        if (1 + epsilon) ** i > 2 / epsilon:
            break
        threshold = (1 + epsilon) ** i * epsilon * d_max / 2
        batches.append(greedy_independent_set(x, u, count, threshold, **limits))
    for batch in batches:
        if value(x, u, batch, weight, d_max) > value(x, u, best, weight, d_max):
            best = batch
    return best


def embeddings(kind):
    return {
        "random": RNG.normal(size=(60, 4)),
        "blobs": RNG.normal(size=(6, 3))[RNG.integers(6, size=60)] * 5 + RNG.normal(size=(60, 3)),
        "a line": RNG.normal(size=(60, 1)),
        "grid": RNG.integers(0, 4, size=(60, 2)).astype(float),
    }[kind].astype(np.float32)


@pytest.mark.parametrize("kind", ["random", "blobs", "a line", "grid"])
@pytest.mark.parametrize("weight", [0.0, 0.5, 5.0, 100.0])
def test_it_picks_as_the_algorithm_of_the_paper(kind, weight):
    x, p = embeddings(kind), RNG.dirichlet(np.ones(3), 60)
    u = 1 - p.max(axis=1)
    picking = picking_of(
        "gist", 7, probabilities=p, embeddings=x, base="least_confidence", weight=weight
    )
    rows = slow(x, u, 7, weight, 0.1)
    assert picking.rows.tolist() == rows
    for i in range(1, len(rows)):
        near = min(distance(x, rows[i], j) for j in rows[:i])
        assert picking.gains[i] == pytest.approx(u[rows[i]] + weight * near, rel=1e-5)
    assert picking.gains[0] == pytest.approx(u[rows[0]])


def test_more_rows_than_are_compared_at_once():
    x, p = RNG.normal(size=(1300, 2)).astype(np.float32), RNG.dirichlet(np.ones(3), 1300)
    given = {"probabilities": p, "embeddings": x, "base": "gini", "weight": 20.0}
    picking = picking_of("gist", 5, epsilon=1.0, **given)
    assert picking.rows.tolist() == slow(x, 1 - (p**2).sum(axis=1), 5, 20.0, 1.0)


@pytest.mark.parametrize("weight", [0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("epsilon", [0.01, 0.1, 1.0])
def test_half_of_the_best_batch_of_any_size_or_more(weight, epsilon):
    for _ in range(20):
        x, p = RNG.normal(size=(9, 2)), RNG.dirichlet(np.ones(2), 9)
        u, lone = 1 - p.max(axis=1), widest(x)
        best = max(
            value(x, u, rows, weight, lone)
            for size in range(1, 5)
            for rows in itertools.combinations(range(9), size)
        )
        given = {"probabilities": p, "embeddings": x, "weight": weight, "epsilon": epsilon}
        rows = picking_of("gist", 4, base="least_confidence", **given).rows
        assert value(x, u, rows, weight, lone) >= best / (2 + 2 * epsilon)


def test_by_hand():
    """Scores alone take 0 and 1; that they are 9 apart rather than 1 is worth more than 0.1."""
    picking = picking_of(
        "gist",
        2,
        base="least_confidence",
        probabilities=[[0.5, 0.5], [0.5, 0.5], [0.6, 0.4]],
        embeddings=[[0.0], [1.0], [9.0]],
    )
    assert picking.rows.tolist() == [0, 2]
    np.testing.assert_allclose(picking.gains, [0.5, 0.4 + 9])


@pytest.mark.parametrize(("weight", "expected"), [(0.06, [0, 1, 2]), (0.07, [0, 2])])
def test_fewer_rows_where_distance_is_worth_more_than_a_score(weight, expected):
    """All three are worth 1.4 + λ, the two ends 0.9 + 9·λ: more from λ = 0.0625 on."""
    picking = picking_of(
        "gist",
        3,
        base="least_confidence",
        weight=weight,
        probabilities=[[0.5, 0.5], [0.5, 0.5], [0.6, 0.4]],
        embeddings=[[0.0], [1.0], [9.0]],
    )
    assert picking.rows.tolist() == expected


def test_quotas_hold_in_every_batch_that_is_tried():
    x, p = embeddings("random"), RNG.dirichlet(np.ones(3), 60)
    groups = RNG.integers(0, 3, 60)
    picking = picking_of(
        "gist",
        8,
        probabilities=p,
        embeddings=x,
        base="least_confidence",
        constraints=Constraints(Limits(max_per_group=2), groups=groups),
    )
    rows = slow(x, 1 - p.max(axis=1), 8, 1.0, 0.1, groups=groups, quota=2)
    assert picking.rows.tolist() == rows


def test_a_pair_that_a_quota_forbids_is_not_the_answer():
    picking = picking_of(
        "gist",
        2,
        weight=100.0,
        probabilities=[[0.5, 0.5]] * 3,
        embeddings=[[0.0], [4.0], [9.0]],
        constraints=Constraints(Limits(max_per_group=1), groups=np.array([0, 1, 0])),
    )
    assert len(set(np.array([0, 1, 0])[picking.rows])) == len(picking.rows)


def test_memory_stays_within_what_is_declared():
    given = {"base": "entropy", "weight": 100.0, "epsilon": 0.2}
    assert share_of_memory("gist", rows=20_000, count=50, dimensions=32, **given) < 1
