"""Contrastive active learning, against the paper's loop over neighbours."""

import numpy as np
import pytest
from scipy.special import rel_entr

from nextlabel_server.errors import InvalidRequest
from tests.selection.pools import picking_of

RNG = np.random.default_rng(11)


def slow(p, x, labeled_p, labeled_x, k):
    scores = []
    for own, place in zip(p, x, strict=True):
        nearest = np.argsort(((labeled_x - place) ** 2).sum(axis=1), kind="stable")[:k]
        scores.append(rel_entr(labeled_p[nearest], own).sum(axis=1).mean())
    return np.array(scores)


@pytest.mark.parametrize("k", [1, 3, 10, 1000])
@pytest.mark.parametrize("kind", ["random", "grid", "copies", "far away", "tiny"])
def test_gains_are_those_of_the_loop(kind, k):
    x, labeled_x = RNG.normal(size=(300, 3)), RNG.normal(size=(60, 3))
    if kind == "grid":
        x, labeled_x = np.round(x), np.round(labeled_x)
    elif kind == "copies":
        labeled_x[:] = labeled_x[0]
    elif kind == "far away":
        x, labeled_x = np.round(x, 2) * 64 + 1e6, np.round(labeled_x, 2) * 64 + 1e6
    elif kind == "tiny":
        x, labeled_x = np.round(x, 1) * 2.0**-68, np.round(labeled_x, 1) * 2.0**-68
        x, labeled_x = (rows.astype(np.float32).astype(float) for rows in (x, labeled_x))
        x[0] = 0  # the origin, so that nothing is rounded again
    p, labeled_p = RNG.dirichlet(np.ones(4), 300), RNG.dirichlet(np.ones(4), 60)
    picking = picking_of(
        "contrastive",
        300,
        probabilities=p,
        embeddings=x,
        labeled_embeddings=labeled_x,
        labeled_probabilities=labeled_p,
        neighbors=k,
    )
    expected = slow(p, x, labeled_p, labeled_x, k)
    np.testing.assert_allclose(picking.gains, expected[picking.rows], rtol=1e-4)
    assert (np.diff(picking.gains) <= 0).all()


def ask(**changed):
    given = {
        "probabilities": [[0.5, 0.5], [1.0, 0.0]],
        "embeddings": [[0.0], [9.0]],
        "labeled_embeddings": [[1.0], [8.0]],
        "labeled_probabilities": [[1.0, 0.0], [0.5, 0.5]],
        "neighbors": 1,
    }
    return picking_of("contrastive", 2, **(given | changed))


def test_by_hand():
    """KL(1, 0 ‖ ½, ½) = ln 2; a class that cannot be is infinitely surprising, but finite here."""
    picking = ask()
    assert picking.rows.tolist() == [1, 0]
    assert picking.gains[1] == pytest.approx(np.log(2))
    assert 100 < picking.gains[0] < np.inf


def test_with_nothing_labeled_rows_come_in_their_order():
    empty = {"labeled_embeddings": np.empty((0, 1)), "labeled_probabilities": np.empty((0, 2))}
    picking = ask(**empty)
    assert picking.rows.tolist() == [0, 1]
    assert picking.gains.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("labeled", "problem"),
    [
        ([[1.0, 0.0], [0.5, 0.6]], "row 1 sums to 1.1"),
        ([[np.nan, 0.0], [0.5, 0.5]], "row 0 has nan"),
        ([[1.0], [1.0]], "found 1 class"),
    ],
)
def test_labeled_predictions_that_are_none_are_refused(labeled, problem):
    with pytest.raises(InvalidRequest) as refusal:
        ask(labeled_probabilities=labeled)
    assert refusal.value.violations[0].field == "labeled_probabilities"
    assert refusal.value.violations[0].description.startswith(problem)
