"""BADGE without gradients: the same distances, and draws in proportion to them."""

import tracemalloc

import numpy as np
import pytest

from nextlabel_server.selection import Constraints, Picking, Sizes, strategy_named
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.strategies.gradient import Gradients
from tests.selection.pools import picking_of

RNG = np.random.default_rng(3)


def gradients(p, x):
    """The gradient embeddings themselves, [N, C·D], in float64."""
    a = p.astype(float) - np.eye(p.shape[1])[p.argmax(axis=1)]
    return (a[:, :, None] * x.astype(float)[:, None, :]).reshape(len(p), -1)


def squared(g, rows):
    return ((g[:, None] - g[rows]) ** 2).sum(axis=2)


def pool(rows, classes, dimensions, shift=0.0):
    p = RNG.dirichlet(np.ones(classes), rows).astype(np.float32)
    return p, (RNG.normal(size=(rows, dimensions)) + shift).astype(np.float32)


@pytest.mark.parametrize("shift", [0.0, 100.0])
@pytest.mark.parametrize(("classes", "dimensions"), [(1, 1), (2, 3), (10, 16), (70, 2)])
def test_factored_distances_are_those_of_gradients(classes, dimensions, shift):
    p, x = pool(300, classes, dimensions, shift)
    p[7], x[7] = p[3], x[3]
    g, centers = gradients(p, x), [3, 50, 99]
    expected = squared(g, centers).min(axis=1)
    own = (g**2).sum(axis=1)
    factored = Gradients(p, x)
    exact = factored.exact(np.arange(300), centers)
    assert np.all(np.abs(exact - expected) <= 1e-12 * (own + own[centers].max()))
    assert exact[7] == exact[3] == 0
    np.testing.assert_allclose(factored.squared_lengths(np.arange(300)), own, rtol=1e-12)
    factored.add_rows(centers[:2])
    factored.add_rows(centers[2:])
    bounds = factored.upper_bounds()
    assert np.all(bounds >= expected)
    assert np.all(bounds <= expected + 0.001 * (expected + own) + 1e-12)


def test_first_comes_the_longest_gradient_the_lower_of_two():
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.5, 0.5]])
    x = np.array([[9.0], [-8.0], [8.0], [1.0]])
    picking = picking_of("badge", 1, probabilities=p, embeddings=x)
    # a = ±(1 − p(1)) twice: lengths √2 · (0.1 · 9, 0.4 · 8, 0.4 · 8, 0.5 · 1)
    assert picking.rows.tolist() == [1]
    np.testing.assert_allclose(picking.gains, [2 * 3.2**2], rtol=1e-6)


def test_embeddings_are_not_moved():
    """Seen from the first row both would be alike; as they are, the second is far longer."""
    p = np.full((3, 2), 0.5)
    x = np.array([[10.0], [21.0], [-1.0]])
    assert picking_of("badge", 1, probabilities=p, embeddings=x).rows.tolist() == [1]


def test_draws_are_in_proportion_to_squared_distances():
    p, x = pool(6, 3, 2)
    g = gradients(p, x)
    first = int((g**2).sum(axis=1).argmax())
    runs = 3000
    counts = np.zeros((6, 6))
    for seed in range(runs):
        rows = picking_of("badge", 3, probabilities=p, embeddings=x, seed=seed).rows
        assert rows[0] == first
        counts[rows[1], rows[2]] += 1
    expected = np.zeros((6, 6))
    to_first = squared(g, [first])[:, 0]
    for second in range(6):
        nearest = squared(g, [first, second]).min(axis=1)
        if second != first:
            expected[second] = to_first[second] / to_first.sum() * nearest / nearest.sum()
    assert (counts[expected == 0] == 0).all()
    seen = expected > 0
    chi_squared = ((counts - runs * expected)[seen] ** 2 / (runs * expected[seen])).sum()
    assert chi_squared < 45  # of 19 degrees of freedom: once in a thousand


def test_no_bound_is_too_low_where_float32_loses_the_digits_of_squares():
    p, x = (values.astype(np.float32) for values in pool(300, 3, 2))
    gradients = Gradients(p, x * np.float32(2**-70))
    gradients.add_rows([0, 1, 2])
    assert (gradients.upper_bounds() >= gradients.exact(np.arange(300), [0, 1, 2])).all()


def test_gains_are_squared_distances_to_the_picks_before():
    p, x = pool(500, 5, 8)
    picking = picking_of("badge", 200, probabilities=p, embeddings=x)
    rows, g = picking.rows, gradients(p, x)
    for i in (1, 2, 33, 100, 199):
        expected = ((g[rows[:i]] - g[rows[i]]) ** 2).sum(axis=1).min()
        np.testing.assert_allclose(picking.gains[i], expected, rtol=1e-9)


@pytest.mark.parametrize("sizes", [(1500, 300, 3500, 4), (20_000, 200, 8, 4), (9000, 5, 4, 300)])
def test_memory_stays_under_what_is_declared(sizes):
    rows, count, dimensions, classes = sizes
    p, x = pool(rows, classes, dimensions)
    picking = Picking(rows, count, Constraints())
    given = Pool(rows, np.random.default_rng(0), embeddings=x, probabilities=p)
    strategy = strategy_named("badge")
    tracemalloc.start()
    strategy.score(given, picking)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    declared = strategy.bytes_of(Sizes(N=rows, B=count, C=classes, D=dimensions))
    assert x.nbytes + p.nbytes + peak <= declared


def test_a_copy_of_a_pick_comes_when_nothing_else_is_left():
    p, x = pool(10, 3, 4)
    picking = picking_of(
        "badge", 200, probabilities=np.repeat(p, 20, 0), embeddings=np.repeat(x, 20, 0)
    )
    assert sorted(picking.rows[:10] // 20) == list(range(10))
    assert sorted(picking.rows) == list(range(200))
    assert (picking.gains[10:] == 0).all()
