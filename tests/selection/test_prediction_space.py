"""FALCUN, against the authors' loop."""

import numpy as np
import pytest

from nextlabel_server.selection import Constraints
from tests.selection.pools import picking_of

RNG = np.random.default_rng(17)


def slow(p, count, gamma, seed, excluded=()):
    """As the authors' code has it, with draws by cumulative weight."""
    p, rng = p.astype(np.float32).astype(float), np.random.default_rng(seed)
    in_order = np.sort(p)
    u = 1 - (in_order[:, -1] - in_order[:, -2])
    distance, rows, gains = u.copy(), [], []
    is_open = np.ones(len(p), bool)
    is_open[list(excluded)] = False
    while len(rows) < count:
        if rows:
            distance = np.minimum(distance, np.abs(p - p[rows[-1]]).sum(axis=1))
        low, high = distance[is_open].min(), distance[is_open].max()
        relevance = u + ((distance - low) / (high - low) if high > low else 0)
        weights = np.where(is_open, relevance / relevance[is_open].max(), 0) ** gamma * is_open
        sums = np.cumsum(weights)
        row = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
        is_open[row] = False
        rows.append(row)
        gains.append(relevance[row])
    return rows, gains


@pytest.mark.parametrize("gamma", [0.0, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("kind", ["random", "tied", "copies"])
@pytest.mark.parametrize("excluded", [(), range(0, 300, 7)])
def test_draws_are_those_of_the_loop(gamma, kind, excluded):
    p = RNG.dirichlet(np.ones(4), 300)
    if kind == "tied":
        p = RNG.multinomial(8, [0.25] * 4, 300) / 8
    elif kind == "copies":
        p = np.repeat(p[:15], 20, axis=0)
    constraints = Constraints(excluded=np.array(excluded, dtype=np.int64))
    picking = picking_of(
        "falcun", 60, probabilities=p, gamma=gamma, seed=5, constraints=constraints
    )
    rows, gains = slow(p, 60, gamma, 5, excluded)
    assert picking.rows.tolist() == rows
    np.testing.assert_allclose(picking.gains, gains, rtol=1e-6)


def test_large_gamma_takes_the_highest():
    """u = 1, 0.9, 0.2. First 0 (u + 1); then L1 distances 0.1 and 0.8 shrink d to 0.1 and 0.2."""
    p = [[0.5, 0.5], [0.55, 0.45], [0.9, 0.1]]
    picking = picking_of("falcun", 3, probabilities=p, gamma=1e5)
    assert picking.rows.tolist() == [0, 2, 1]
    np.testing.assert_allclose(picking.gains, [1 + 1, 0.2 + 1, 0.9 + 0], rtol=1e-6)


def test_sure_rows_alike_are_drawn_uniformly():
    first = [
        picking_of("falcun", 1, probabilities=np.eye(2)[[0] * 4], seed=seed).rows[0]
        for seed in range(200)
    ]
    assert np.bincount(first, minlength=4).min() > 25
