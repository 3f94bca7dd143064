"""Information density, against the formula over all pairs."""

import numpy as np
import pytest

from nextlabel_server.errors import InvalidRequest
from tests.selection.pools import picking_of

RNG = np.random.default_rng(5)


def slow(p, x, beta):
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    similarity = (units @ units.T).mean(axis=1)
    return -(p * np.log(p)).sum(axis=1) * np.maximum(similarity, 0) ** beta


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("shift", [0.0, 0.5, 1e4])
def test_gains_are_those_of_all_pairs(beta, shift):
    p, x = RNG.dirichlet(np.ones(4), 500), RNG.normal(size=(500, 6)) + shift
    picking = picking_of("information_density", 500, probabilities=p, embeddings=x, beta=beta)
    expected = slow(p, x, beta)
    np.testing.assert_allclose(picking.gains, expected[picking.rows], rtol=1e-4, atol=1e-7)
    assert (np.diff(picking.gains) <= 0).all()


def test_by_hand():
    """Mean vector (1/2, 1/2), so 0 and 2 are as crowded as each other; the third has entropy 0."""
    x = [[1.0, 0.0], [2.0, 0.0], [0.0, 5.0], [0.0, 1.0]]
    p = [[0.5, 0.5], [0.9, 0.1], [1.0, 0.0], [0.5, 0.5]]
    picking = picking_of("information_density", 4, probabilities=p, embeddings=x)
    assert picking.rows.tolist() == [0, 3, 1, 2]
    np.testing.assert_allclose(picking.gains[[0, 1, 3]], [np.log(2) / 2, np.log(2) / 2, 0])


def test_copies_tie_wherever_they_stand():
    x, p = RNG.normal(size=(3001, 7)) + 1, RNG.dirichlet(np.ones(3), 3001)
    places = np.sort(RNG.choice(3001, 40, replace=False))
    x[places], p[places] = x[places[0]], [0.3, 0.3, 0.4]
    picking = picking_of("information_density", 3001, probabilities=p, embeddings=x)
    where = np.flatnonzero(np.isin(picking.rows, places))
    assert picking.rows[where].tolist() == places.tolist()
    assert len(set(picking.gains[where])) == 1


def test_a_row_without_direction_is_refused():
    with pytest.raises(InvalidRequest) as refusal:
        picking_of("information_density", 1, probabilities=[[1.0], [1.0]], embeddings=[[1.0], [0]])
    assert "row 1 is zero" in str(refusal.value)
