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


def entropies(p):
    return -(p * np.log(p)).sum(axis=1)


@pytest.mark.parametrize("weight", [0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["random", "copies"])
def test_with_probabilities_the_kernel_is_quality_times_similarity(kind, weight):
    x = embeddings(kind)
    p = np.random.default_rng(2).dirichlet(np.ones(4), ROWS).astype(np.float32).astype(float)
    u = entropies(p / p.sum(axis=1, keepdims=True))
    quality = np.exp(weight / (2 * (1 - weight)) * (u - u.max()))
    kernel = quality[:, None] * half_cosine(x) * quality

    def gains_of(picks):
        before = np.linalg.slogdet(kernel[np.ix_(picks, picks)])[1]
        rows = [[*picks, i] for i in range(ROWS)]
        after = np.array([np.linalg.slogdet(kernel[np.ix_(some, some)])[1] for some in rows])
        return np.round(np.maximum(np.exp(after - before), 1e-10 * quality**2), 12)

    rows, gains = plain_greedy(10, ROWS, gains_of)
    picking = picking_of("dpp", 10, embeddings=x, probabilities=p, weight=weight)
    np.testing.assert_allclose(picking.gains, gains, rtol=1e-4)
    assert picking.rows.tolist() == rows


def test_a_batch_is_worth_what_the_paper_says():
    """θ·Σu + (1 − θ)·ln det S: the sum of the logarithms of the gains, up to (1 − θ) and max u."""
    x, theta = embeddings("random"), 0.4
    p = np.random.default_rng(3).dirichlet(np.ones(3), ROWS).astype(np.float32).astype(float)
    u = entropies(p / p.sum(axis=1, keepdims=True))
    picking = picking_of("dpp", 8, embeddings=x, probabilities=p, weight=theta)
    rows = picking.rows
    determinant = np.linalg.slogdet(half_cosine(x)[np.ix_(rows, rows)])[1]
    worth = theta * u[rows].sum() + (1 - theta) * determinant
    found = (1 - theta) * np.log(picking.gains).sum() + theta * len(rows) * u.max()
    np.testing.assert_allclose(found, worth, rtol=1e-6)


def test_the_surer_of_two_copies_waits():
    x = np.repeat(embeddings("random")[:5], 2, axis=0)
    sure, unsure = [0.9, 0.1], [0.5, 0.5]
    picking = picking_of("dpp", 5, embeddings=x, probabilities=np.array([sure, unsure] * 5))
    assert sorted(picking.rows) == [1, 3, 5, 7, 9]


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
