"""GIST, against the sweep as the paper has it, pair by pair."""

import itertools

import numpy as np
import pytest

from nextlabel_server.selection import Constraints
from nextlabel_server.selection.constraints import Limits
from tests.selection.pools import picking_of

RNG = np.random.default_rng(13)


def distance(x, i, j):
    return np.sqrt(((x[i].astype(float) - x[j].astype(float)) ** 2).sum())


def least(x, rows, lone):
    return min((distance(x, i, j) for i, j in itertools.combinations(rows, 2)), default=lone)


def independent(x, u, count, threshold, groups=None, quota=None):
    """By score, each row that is as far as `threshold` from all that were taken."""
    rows = []
    for row in np.lexsort((np.arange(len(u)), -u)):
        full = quota is not None and sum(groups[r] == groups[row] for r in rows) >= quota
        if len(rows) < count and not full and all(distance(x, row, r) >= threshold for r in rows):
            rows.append(int(row))
    return rows


def slow(x, u, count, weight, epsilon, **limits):
    in_order = np.lexsort((np.arange(len(u)), -u))

    def farthest(row):
        return int(in_order[np.argmax([distance(x, row, j) for j in in_order])])

    first = farthest(in_order[0])
    widest = distance(x, first, farthest(first))
    batches = [independent(x, u, count, 0.0, **limits)]
    threshold = epsilon * widest / 2
    while 0 < threshold <= widest:
        batches.append(independent(x, u, count, threshold, **limits))
        threshold *= 1 + epsilon
    batches = [rows for rows in batches if len(rows) == len(batches[0])]
    values = [u[rows].sum() + weight * least(x, rows, 0) for rows in batches]
    return batches[int(np.argmax(values))]


def embeddings(kind):
    return {
        "random": RNG.normal(size=(60, 4)),
        "blobs": RNG.normal(size=(6, 3))[RNG.integers(6, size=60)] * 5 + RNG.normal(size=(60, 3)),
        "a line": RNG.normal(size=(60, 1)),
        "grid": RNG.integers(0, 4, size=(60, 2)).astype(float),
    }[kind].astype(np.float32)


@pytest.mark.parametrize("kind", ["random", "blobs", "a line", "grid"])
@pytest.mark.parametrize("weight", [0.0, 0.5, 5.0, 100.0])
def test_it_picks_as_the_sweep_pair_by_pair(kind, weight):
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


@pytest.mark.parametrize("weight", [0.1, 1.0, 10.0])
def test_about_half_of_the_best_batch_or_more(weight):
    for _ in range(20):
        x, p = RNG.normal(size=(9, 2)), RNG.dirichlet(np.ones(2), 9)
        u = 1 - p.max(axis=1)
        best = max(
            u[list(rows)].sum() + weight * least(x, rows, 0)
            for rows in itertools.combinations(range(9), 4)
        )
        rows = picking_of(
            "gist", 4, probabilities=p, embeddings=x, base="least_confidence", weight=weight
        ).rows
        widest = max(distance(x, i, j) for i, j in itertools.combinations(range(9), 2))
        value = u[rows].sum() + weight * least(x, rows, 0)
        assert value >= min(best / 2.2, best - 0.1 * weight * widest)


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
