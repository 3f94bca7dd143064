"""Trade-offs of uncertainty and distance: ranked_batch and mmr, against plain loops."""

import numpy as np
import pytest

from nextlabel_server.selection import Constraints
from nextlabel_server.selection.constraints import Limits
from tests.selection.pools import picking_of, share_of_memory

RNG = np.random.default_rng(7)


def probability_rows(rows, classes=4):
    return np.random.default_rng(rows).dirichlet(np.ones(classes), rows)


def embeddings(kind, rows=400):
    return {
        "random": RNG.normal(size=(rows, 6)),
        "grid": RNG.integers(1, 4, size=(rows, 3)).astype(float),
        "copies": np.repeat(RNG.normal(size=(rows // 20, 5)), 20, axis=0),
        "a line": RNG.normal(size=(rows, 1)) + 5,
        "far away": RNG.normal(size=(rows, 4)) + 1e4,
    }[kind].astype(np.float32)


KINDS = ["random", "grid", "copies", "a line", "far away"]


def greedy(gain_of, count, is_open=None, close=lambda row, is_open: None, costs=1.0):
    """The plain loop: the best open row by all gains anew, after each pick."""
    rows, gains = [], []
    while len(rows) < count and is_open.any():
        now = gain_of(rows)
        row = int(np.where(is_open, now / costs, -np.inf).argmax())
        rows.append(row)
        gains.append(now[row])
        is_open[row] = False
        close(row, is_open)
    return rows, gains


def distances(x, y):
    return np.sqrt(((x.astype(float)[:, None] - y.astype(float)) ** 2).sum(axis=2))


def slow_ranked_batch(x, labeled, u, count, alpha=None, **limits):
    limits.setdefault("is_open", np.ones(len(x), bool))
    between, to_labeled = distances(x, x), distances(x, labeled)

    from_mean = distances(x, x.mean(axis=0, dtype=float)[None])[:, 0]

    def gain_of(rows):
        near = np.hstack([to_labeled, between[:, rows]])
        least = near.min(axis=1) if near.shape[1] else from_mean
        a = (len(x) - len(rows)) / (len(x) + len(labeled)) if alpha is None else alpha
        return a * (1 - 1 / (1 + least)) + (1 - a) * u

    if not len(labeled):
        only_first = np.arange(len(x)) == from_mean.argmin()
        (row,), (gain,) = greedy(gain_of, 1, only_first)
        limits["is_open"][row] = False
        rest, gains = greedy(lambda rows: gain_of([row, *rows]), count - 1, **limits)
        return [row, *rest], [gain, *gains]
    return greedy(gain_of, count, **limits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labeled_rows", [0, 5])
@pytest.mark.parametrize("alpha", [None, 0.0, 0.3, 1.0])
def test_ranked_batch_picks_as_the_plain_loop(kind, labeled_rows, alpha):
    x = embeddings(kind)
    labeled, p = x[:labeled_rows] + np.float32(0.5), probability_rows(len(x))
    given = {} if alpha is None else {"alpha": alpha}
    picking = picking_of(
        "ranked_batch", 80, probabilities=p, embeddings=x, labeled_embeddings=labeled, **given
    )
    rows, gains = slow_ranked_batch(x, labeled, 1 - p.max(axis=1), 80, alpha)
    assert picking.rows.tolist() == rows
    np.testing.assert_allclose(picking.gains, gains, rtol=1e-5, atol=1e-9)


def test_ranked_batch_by_hand():
    """Labeled at 0; u alike. α falls: 3/4, then 2/4, then 1/4."""
    picking = picking_of(
        "ranked_batch",
        3,
        probabilities=[[0.5, 0.5]] * 3,
        embeddings=[[1.0], [3.0], [2.0]],
        labeled_embeddings=[[0.0]],
    )
    assert picking.rows.tolist() == [1, 0, 2]
    expected = [0.75 * 0.75 + 0.25 * 0.5, 0.5 * 0.5 + 0.5 * 0.5, 0.25 * 0.5 + 0.75 * 0.5]
    np.testing.assert_allclose(picking.gains, expected, rtol=1e-12)


def test_ranked_batch_starts_next_to_the_mean_when_nothing_is_labeled():
    x = np.array([[0.0], [10.0], [11.0], [12.0], [40.0]])  # mean 14.6, median 11
    given = {"probabilities": np.full((5, 2), 0.5), "embeddings": x}
    picking = picking_of("ranked_batch", 1, **given)
    assert picking.rows.tolist() == [3]
    np.testing.assert_allclose(picking.gains, [1 - 1 / (1 + 2.6)])  # α is 1
    excluded = Constraints(excluded=np.array([3]))
    assert picking_of("ranked_batch", 1, constraints=excluded, **given).rows.tolist() == [2]


@pytest.mark.parametrize("limit", ["excluded", "groups", "costs", "min_distance"])
def test_ranked_batch_keeps_limits_as_the_plain_loop_does(limit):
    x, count = embeddings("random", 400), 50
    p, labeled = probability_rows(len(x)), embeddings("random", 3)
    is_open, costs = np.ones(len(x), bool), np.ones(len(x))
    close = lambda row, is_open: None  # noqa: E731
    if limit == "excluded":
        excluded = np.arange(0, 400, 3)
        constraints, is_open[excluded] = Constraints(excluded=excluded), False
    elif limit == "groups":
        groups, left = RNG.integers(0, 10, 400), np.full(10, 3)
        constraints = Constraints(Limits(max_per_group=3), groups=groups)

        def close(row, is_open):
            left[groups[row]] -= 1
            is_open &= left[groups] > 0
    elif limit == "costs":
        costs = RNG.integers(1, 5, 400).astype(float)
        constraints, spent = Constraints(Limits(cost_budget=60.0), costs=costs), [0.0]

        def close(row, is_open):
            spent[0] += costs[row]
            is_open &= costs <= 60 - spent[0]
    else:
        constraints = Constraints(Limits(min_distance=2.5), places=x)

        def close(row, is_open):
            is_open &= distances(x, x[[row]])[:, 0] >= 2.5

    picking = picking_of(
        "ranked_batch",
        count,
        probabilities=p,
        embeddings=x,
        labeled_embeddings=labeled,
        constraints=constraints,
    )
    u = 1 - p.max(axis=1)
    rows, _ = slow_ranked_batch(x, labeled, u, count, is_open=is_open, close=close, costs=costs)
    assert picking.rows.tolist() == rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weight", [0.0, 0.2, 0.5, 1.0])
def test_mmr_picks_as_the_plain_loop(kind, weight):
    x, p = embeddings(kind), probability_rows(400)
    units = (x / np.linalg.norm(x.astype(float), axis=1, keepdims=True)).astype(np.float32)
    cosines = 1 - distances(units, units) ** 2 / 2
    entropies = -(p * np.log(p)).sum(axis=1)

    def gain_of(rows):
        nearest = cosines[:, rows].max(axis=1) if rows else 0
        return weight * entropies - (1 - weight) * nearest

    rows, gains = greedy(gain_of, 80, np.ones(len(x), bool))
    picking = picking_of("mmr", 80, probabilities=p, embeddings=x, weight=weight)
    assert picking.rows.tolist() == rows
    np.testing.assert_allclose(picking.gains, gains, atol=1e-7)


def test_mmr_by_hand():
    picking = picking_of(
        "mmr",
        3,
        base="least_confidence",
        probabilities=[[0.5, 0.5], [0.6, 0.4], [0.7, 0.3]],
        embeddings=[[2.0, 0.0], [5.0, 0.0], [0.0, 3.0]],
    )
    assert picking.rows.tolist() == [0, 2, 1]
    np.testing.assert_allclose(picking.gains, [0.25, 0.15, 0.2 - 0.5], atol=1e-7)


def test_mmr_by_cost_by_hand():
    """Above −1/2, the least that a gain can be: 1 and 2 are worth 0.2 and 0.6/4 after 0.

    Their gains are −0.3 and 0.1, and −0.3/2 would be more than −0.3 for 1 alone.
    """
    picking = picking_of(
        "mmr",
        2,
        base="least_confidence",
        probabilities=[[0.5, 0.5], [0.6, 0.4], [0.8, 0.2], [0.6, 0.4]],
        embeddings=[[2.0, 0.0], [5.0, 0.0], [0.0, 3.0], [3.0, 0.0]],
        constraints=Constraints(Limits(cost_budget=9.0), costs=np.array([1.0, 1.0, 4.0, 2.0])),
    )
    assert picking.rows.tolist() == [0, 1]
    np.testing.assert_allclose(picking.gains, [0.25, -0.3], atol=1e-7)


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_mmr_with_costs_picks_as_the_plain_loop(weight):
    x, p = embeddings("random"), probability_rows(400)
    units = x / np.linalg.norm(x.astype(float), axis=1, keepdims=True)
    entropies, cosines = -(p * np.log(p)).sum(axis=1), units @ units.T
    costs, spent = RNG.uniform(0.5, 4.0, 400), [0.0]

    def above_least(rows):
        nearest = cosines[:, rows].max(axis=1) if rows else 0
        return weight * entropies - (1 - weight) * nearest + (1 - weight)

    def close(row, is_open):
        spent[0] += costs[row]
        is_open &= costs <= 60 - spent[0]

    rows, _ = greedy(above_least, 80, np.ones(400, bool), close, costs)
    limits = Constraints(Limits(cost_budget=60.0), costs=costs)
    given = {"probabilities": p, "embeddings": x, "weight": weight, "constraints": limits}
    assert picking_of("mmr", 80, **given).rows.tolist() == rows


@pytest.mark.parametrize(
    "sizes",
    [
        {"rows": 60_000, "count": 50, "dimensions": 8},
        {"rows": 4_000, "count": 2_000, "dimensions": 64},
        {"rows": 1_000, "count": 50, "dimensions": 64, "labeled": 20_000},
    ],
)
def test_memory_stays_within_what_is_declared(sizes):
    assert share_of_memory("ranked_batch", base="least_confidence", alpha=-1.0, **sizes) < 1
    of_pool = sizes | {"labeled": 0}
    assert share_of_memory("mmr", base="entropy", weight=0.5, **of_pool) < 1
