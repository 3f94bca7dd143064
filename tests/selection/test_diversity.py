"""Diversity: k_center against the plain loop, k_means_pp against its probabilities."""

import itertools

import numpy as np
import pytest

from nextlabel_server.selection import Constraints
from nextlabel_server.selection.constraints import Limits
from tests.selection.pools import picking_of, plain_greedy, share_of_memory

ROWS = 700  # more than the candidates that k_center looks at together


def embeddings(kind, rows=ROWS):
    rng = np.random.default_rng(2)
    return {
        "random": rng.normal(size=(rows, 6)),
        "grid": rng.integers(0, 4, size=(rows, 3)).astype(float),
        "copies": np.repeat(rng.normal(size=(rows // 10, 5)), 10, axis=0),
        "a line": rng.normal(size=(rows, 1)),
        "a dense cloud far away": rng.normal(size=(rows, 8)) * 1e-2 + 1e3,
    }[kind].astype(np.float32)


KINDS = ["random", "grid", "copies", "a line", "a dense cloud far away"]


def farthest(x, context):
    x, context = x.astype(float), context.astype(float)

    def gains_of(picks):
        if not len(context) and not picks:
            return -np.linalg.norm(x - x.mean(axis=0), axis=1)
        nearest = [np.linalg.norm(x - c, axis=1) for c in (*context, *x[picks])]
        return np.min(nearest, axis=0)

    return gains_of


@pytest.mark.parametrize("labeled", [0, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_k_center_picks_the_farthest_row_again_and_again(kind, labeled):
    x = embeddings(kind)
    context = x[:labeled] + np.float32(0.25)
    rows, gains = plain_greedy(60, ROWS, farthest(x, context))
    picking = picking_of("k_center", 60, embeddings=x, labeled_embeddings=context)
    assert picking.rows.tolist() == rows
    np.testing.assert_allclose(picking.gains, np.abs(gains), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**-73, 2.0**-80])
def test_k_center_finds_the_farthest_where_float32_loses_the_digits_of_squares(scale):
    x = np.random.default_rng(4).normal(size=(ROWS, 3)).astype(np.float32)
    found = picking_of("k_center", 60, embeddings=x * scale, labeled_embeddings=x[:5] * scale)
    expected = picking_of("k_center", 60, embeddings=x, labeled_embeddings=x[:5])
    assert found.rows.tolist() == expected.rows.tolist()


def test_k_center_by_hand():
    """From 0, 4, 5 and 10 the mean is 4.75: 5 is nearest to it, then the ends, then 4."""
    picking = picking_of("k_center", 4, embeddings=np.array([[0.0], [4], [5], [10]]))
    assert picking.rows.tolist() == [2, 0, 3, 1]
    assert picking.gains.tolist() == [0.25, 5, 5, 1]


def test_k_center_keeps_to_constraints_in_the_order_of_the_plain_loop():
    x, costs = embeddings("random"), np.random.default_rng(1).uniform(0.5, 2, ROWS)
    groups = np.arange(ROWS) % 5

    def may_pick(picks, row):
        return (
            row >= 50
            and sum(groups[row] == groups[pick] for pick in picks) < 4
            and costs[row] <= 20 - costs[picks].sum()
        )

    limits = Limits(cost_budget=20, max_per_group=4)
    constraints = Constraints(limits, np.arange(50), costs, groups)
    context = x[:3]
    picking = picking_of(
        "k_center", ROWS, embeddings=x, labeled_embeddings=context, constraints=constraints
    )
    rows, _ = plain_greedy(ROWS, ROWS, farthest(x, context), may_pick=may_pick, costs=costs)
    assert picking.rows.tolist() == rows


def shares_of(x, count, draws, **given):
    drawn = [
        tuple(picking_of("k_means_pp", count, embeddings=x, seed=seed, **given).rows.tolist())
        for seed in range(draws)
    ]
    return {pick: drawn.count(pick) / draws for pick in set(drawn)}


def test_k_means_pp_draws_in_proportion_to_squared_distance():
    x = np.array([[0.0], [1], [3], [6]])
    expected = {}
    for first, second, third in itertools.permutations(range(4), 3):
        one = (x - x[first]).ravel() ** 2
        two = np.minimum(one, (x - x[second]).ravel() ** 2)
        share = 1 / 4 * one[second] / one.sum() * two[third] / two.sum()
        expected[first, second, third] = share
    found = shares_of(x, 3, 4000)
    assert max(abs(found.get(pick, 0) - share) for pick, share in expected.items()) < 0.02


def test_what_is_labeled_counts_as_picked():
    x = np.array([[0.0], [1], [2], [4]])
    found = shares_of(x, 1, 2000, labeled_embeddings=np.array([[0.0], [1.0]]))
    assert set(found) == {(2,), (3,)}
    assert found[(3,)] == pytest.approx(0.9, abs=0.03)


def test_with_costs_chances_are_for_each_unit_of_cost():
    x = np.array([[0.0], [1], [2]])
    constraints = Constraints(Limits(cost_budget=4.0), costs=np.array([1.0, 1.0, 4.0]))
    found = shares_of(x, 1, 2000, labeled_embeddings=np.array([[0.0]]), constraints=constraints)
    assert found[(1,)] == pytest.approx(0.5, abs=0.04)
    assert found[(2,)] == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gain_is_the_squared_distance_to_all_before(kind):
    x = embeddings(kind)
    picking = picking_of("k_means_pp", 150, embeddings=x)
    assert picking.gains[0] == 0
    x = x.astype(float)
    for i in range(1, 150):
        squared = ((x[picking.rows[:i]] - x[picking.rows[i]]) ** 2).sum(axis=1)
        assert picking.gains[i] == pytest.approx(squared.min(), rel=1e-6, abs=1e-12)


def test_copies_of_picks_come_only_when_nothing_else_is_left():
    x = embeddings("copies")
    rows = picking_of("k_means_pp", ROWS, embeddings=x).rows
    assert len(set((rows[:70] // 10).tolist())) == 70
    assert sorted(rows.tolist()) == list(range(ROWS))


@pytest.mark.parametrize("name", ["k_center", "k_means_pp"])
@pytest.mark.parametrize(
    "sizes",
    [
        {"rows": 60_000, "count": 50, "dimensions": 8},
        {"rows": 4_000, "count": 2_000, "dimensions": 64},
        {"rows": 1_000, "count": 50, "dimensions": 64, "labeled": 20_000},
    ],
)
def test_memory_stays_within_what_is_declared(name, sizes):
    assert share_of_memory(name, **sizes) < 1
