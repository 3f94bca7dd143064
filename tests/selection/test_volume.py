"""Volume: dpp, against determinants."""

import tracemalloc

import numpy as np
import pytest

from nextlabel_server.selection import Constraints, Sizes, strategy_named
from nextlabel_server.selection.constraints import Limits
from tests.selection.pools import picking_of, plain_greedy

ROWS = 60


def embeddings(kind):
    rng = np.random.default_rng(4)
    return {
        "random": rng.normal(size=(ROWS, 20)),
        "copies": np.repeat(rng.normal(size=(ROWS // 5, 15)), 5, axis=0),
    }[kind].astype(np.float32)


def half_cosine(x):
    x = x.astype(float)
    x = x / np.linalg.norm(x, axis=1)[:, None]
    return (1 + x @ x.T) / 2


def gaussian(x):
    squared = ((x.astype(float)[:, None] - x.astype(float)) ** 2).sum(axis=2)
    return np.exp(-squared / squared.mean())


def determinants(kernel):
    def gains_of(picks):
        before = np.linalg.det(kernel[np.ix_(picks, picks)])
        after = [np.linalg.det(kernel[np.ix_([*picks, i], [*picks, i])]) for i in range(ROWS)]
        return np.round(np.maximum(np.array(after) / before, 1e-10), 9)

    return gains_of


@pytest.mark.parametrize("kind", ["random", "copies"])
@pytest.mark.parametrize(("similarity", "kernel"), [("cosine", half_cosine), ("rbf", gaussian)])
def test_each_pick_raises_the_determinant_most(kind, similarity, kernel):
    x = embeddings(kind)
    rows, gains = plain_greedy(12, ROWS, determinants(kernel(x)))
    picking = picking_of("dpp", 12, embeddings=x, similarity=similarity)
    assert picking.rows.tolist() == rows
    np.testing.assert_allclose(picking.gains, gains, atol=1e-7)


def test_what_the_picks_explain_comes_last_the_lowest_row_first():
    """In two dimensions S = (1 + cosine)/2 has rank 3."""
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    x = np.column_stack([np.cos(angles), np.sin(angles)])
    picking = picking_of("dpp", 8, embeddings=x)
    assert picking.rows[:2].tolist() == [0, 4]  # opposite: a similarity of 0
    assert (picking.gains[3:] == 1e-10).all()
    assert picking.rows[3:].tolist() == sorted(picking.rows[3:])


def test_constraints_take_rows_away_and_leave_the_rule():
    x, costs = embeddings("random"), np.random.default_rng(1).uniform(0.5, 2, ROWS)
    groups = np.arange(ROWS) % 4

    def may_pick(picks, row):
        return (
            row >= 10
            and sum(groups[row] == groups[pick] for pick in picks) < 2
            and costs[row] <= 5 - costs[picks].sum()
        )

    constraints = Constraints(Limits(cost_budget=5, max_per_group=2), np.arange(10), costs, groups)
    picking = picking_of("dpp", ROWS, embeddings=x, constraints=constraints)
    rows, _ = plain_greedy(ROWS, ROWS, determinants(half_cosine(x)), may_pick=may_pick, costs=costs)
    assert picking.rows.tolist() == rows


def test_memory_stays_under_what_is_declared():
    x = np.random.default_rng(0).normal(size=(8000, 24))
    tracemalloc.start()
    picking_of("dpp", 60, embeddings=x, similarity="rbf")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.2 * strategy_named("dpp").bytes_of(Sizes(N=8000, B=60, D=24))
