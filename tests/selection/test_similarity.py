"""Similarities in float32 lean the way that is asked for; moments bound what rows can gain."""

import numpy as np
import pytest

from nextlabel_server.errors import Cancelled
from nextlabel_server.selection import moments
from nextlabel_server.selection.distances import squared_norms
from nextlabel_server.selection.similarity import Cosine, Gaussian
from tests.selection.similarities import KINDS, cosine, embeddings, gaussian

X = embeddings("random", 300)
UNIT = (X / np.linalg.norm(X, axis=1)[:, None]).astype(np.float32)
FAR = embeddings("blobs far away", 300)
CASES = {
    "cosine": (Cosine(), UNIT, cosine(UNIT, UNIT)),
    "rbf": (Gaussian(2.0), X, gaussian(X, X, 2.0)),
    # Rounding is more than the distances here: bounds say little, but nothing wrong.
    "rbf, far away": (Gaussian(9.0), FAR, gaussian(FAR, FAR, 9.0)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_more_similar_is_closer(case):
    similarity, x, expected = CASES[case]
    closeness = similarity.closeness(x)(similarity.side(x[:50]))
    for thresholds in (np.zeros(len(x)), expected[0].clip(0), expected[60].clip(0)):
        more = expected[:50] > thresholds
        assert (closeness > similarity.close(thresholds))[more].all()
    found = similarity.of_closeness(closeness)
    assert (found >= expected[:50]).all()
    assert case == "rbf, far away" or np.abs(found - expected[:50]).max() < 1e-4


@pytest.mark.parametrize("lean", [-1, 1])
@pytest.mark.parametrize("case", CASES)
class TestLeaning:
    def test_above_thresholds(self, case, lean):
        similarity, x, expected = CASES[case]
        thresholds = np.random.default_rng(0).random(len(x))
        for some in (slice(3), slice(None)):
            ways = (
                similarity.above(x[some], x, squared_norms(x), thresholds, lean),
                similarity.against(x, thresholds, lean)(similarity.side(x[some])),
            )
            for found in ways:
                off = found - (expected[some] - thresholds)
                assert (lean * off >= 0).all()
                assert case == "rbf, far away" or np.abs(off).max() < 1e-4

    def test_in_widths(self, case, lean):
        similarity, x, expected = CASES[case]
        rng = np.random.default_rng(1)
        thresholds, widths = rng.random((2, len(x))).astype(np.float32)
        widths[:5] = 1e-30
        found = similarity.against(x, thresholds, lean, widths)(similarity.side(x))
        exact = (expected - thresholds.astype(np.float64)) / widths
        assert np.isfinite(found).all()
        assert (lean * (found - exact) >= -1e-6 * np.abs(exact)).all()


def slow_gains(x, bandwidth, served):
    return np.maximum(gaussian(x, x, bandwidth) - served[:, None], 0).sum(axis=0)


@pytest.mark.parametrize("bandwidth", [1e-15, 1e-3, 0.5, 4.0, 1e6, 1e300])
@pytest.mark.parametrize("kind", KINDS)
def test_no_row_gains_more_than_moments_say(kind, bandwidth):
    x = embeddings(kind, 400)
    served = np.zeros(len(x))
    for pick in (7, 3, 11, 200):
        gains = slow_gains(x, bandwidth, served)
        bounds = moments.gain_bounds(x, bandwidth, served, lambda: None)
        assert (bounds >= gains * (1 - 1e-9) - 1e-9).all()
        served = np.maximum(served, gaussian(x, x[[pick]], bandwidth)[:, 0])


def test_moments_tell_most_rows_from_the_best():
    """Where distances are all about the same, as between many dimensions drawn at random."""
    x = np.random.default_rng(0).normal(size=(1500, 48)).astype(np.float32)
    bandwidth = 96**0.5
    first = moments.gain_bounds(x, bandwidth, np.zeros(1500), lambda: None)
    gains = slow_gains(x, bandwidth, np.zeros(1500))
    np.testing.assert_allclose(first[gains.argmax()], gains.max(), rtol=0.02)
    served = gaussian(x, x[[gains.argmax()]], bandwidth)[:, 0]
    bounds = moments.gain_bounds(x, bandwidth, served, lambda: None)
    assert np.mean(bounds >= slow_gains(x, bandwidth, served).max()) < 0.02


def test_nothing_more_is_gained_where_all_rows_are_served():
    x = np.repeat(X[:1], 50, axis=0)
    bounds = moments.gain_bounds(x, 1.0, np.ones(50), lambda: None)
    assert (bounds >= 0).all()
    assert bounds.max() < 1e-4


def test_moments_stop_when_nobody_waits():
    def check():
        raise Cancelled

    with pytest.raises(Cancelled):
        moments.gain_bounds(X, 1.0, np.zeros(len(X)), check)
