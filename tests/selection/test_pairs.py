"""Pairs of rows that count, in lists, against comparing all rows."""

import numpy as np
import pytest

from nextlabel_server.errors import Cancelled
from nextlabel_server.selection import pairs
from nextlabel_server.selection.pairs import Pairs
from nextlabel_server.selection.similarity import Cosine, Gaussian
from tests.selection.pools import picking_of, plain_greedy
from tests.selection.similarities import cosine, embeddings, gaussian

ROWS = 1100
X = embeddings("random", ROWS)
UNIT = (X / np.linalg.norm(X, axis=1)[:, None]).astype(np.float32)
CASES = {
    "cosine": (Cosine(), UNIT, cosine(UNIT, UNIT)),
    "rbf": (Gaussian(2.0), X, gaussian(X, X, 2.0)),
}


def gains(similarities, served):
    return np.maximum(similarities - served[:, None], 0).sum(axis=0)


def never():
    """Nobody goes away."""


@pytest.mark.parametrize("case", CASES)
def test_what_rows_gain_and_lose(case):
    similarity, x, similarities = CASES[case]
    served = similarities[:, :8].max(axis=1).clip(0)
    listed = Pairs.of(x, similarity, served, never)
    bounds = listed.gains()
    for pick in range(8, 40):
        exact = gains(similarities, served)
        assert (bounds >= exact).all()
        np.testing.assert_allclose(bounds, exact, rtol=1e-4, atol=1e-2)
        better = np.flatnonzero(similarities[:, pick] > served)
        before, now = served[better], similarities[better, pick]
        bounds -= listed.lost(better, before, now - before)
        served[better] = now


@pytest.mark.parametrize("share", [0.99, 0.1])
def test_too_many_pairs_are_not_listed(share, monkeypatch):
    similarity, x, similarities = CASES["cosine"]
    served = similarities[:, :8].max(axis=1).clip(0)
    counting = int((similarities > served[:, None] + 1e-5).sum())
    monkeypatch.setattr(pairs, "_MOST", int(share * counting))
    assert Pairs.of(x, similarity, served, never) is None


def test_listing_stops_when_nobody_waits():
    def check():
        raise Cancelled

    with pytest.raises(Cancelled):
        Pairs.of(UNIT, Cosine(), np.full(ROWS, 0.5), check)


@pytest.mark.parametrize("too_many", [0, 1, 1000], ids=["at once", "later", "never"])
@pytest.mark.parametrize("copied", [0, 7])
def test_picks_are_those_of_plain_greedy(too_many, copied, monkeypatch):
    found = []

    def of(*args):
        found.append(None if len(found) < too_many else made(*args))
        return found[-1]

    made = Pairs.of
    monkeypatch.setattr(Pairs, "of", of)
    x = UNIT.copy()
    if copied:
        x[::copied] = x[1]
    similarities = cosine(x, x)

    def gains_of(picks):
        served = similarities[:, picks].max(axis=1, initial=0)
        return np.round(gains(similarities, served), 11)

    rows, expected = plain_greedy(150, ROWS, gains_of)
    picking = picking_of("facility_location", 150, embeddings=x)
    assert picking.rows.tolist() == rows
    np.testing.assert_allclose(picking.gains, expected, rtol=1e-6, atol=1e-6)
    listed = [each is not None for each in found]
    assert listed[: too_many + 1] == [False] * min(too_many, len(found)) + [True] * (too_many < 2)
