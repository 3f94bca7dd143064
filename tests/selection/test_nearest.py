"""What picks stand for, against all distances at once."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled
from nextlabel_server.selection import nearest_picks
from nextlabel_server.selection.nearest import bytes_of


def test_each_row_belongs_to_its_nearest_pick():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 7)).astype(np.float32)
    picks = rng.permutation(3000)[:700]
    found = nearest_picks(x, picks, lambda: None)
    expected = picks[cdist(x.astype(float), x[picks].astype(float)).argmin(axis=1)]
    np.testing.assert_array_equal(found.rows, expected)
    np.testing.assert_array_equal(found.rows[picks], picks)
    np.testing.assert_allclose(found.shares, [np.mean(expected == pick) for pick in picks])


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**-73, 2.0**-80])
def test_a_pick_is_nearest_even_where_float32_loses_the_digits_of_squares(scale):
    x = np.random.default_rng(4).normal(size=(500, 3)).astype(np.float32)
    found = nearest_picks(x * np.float32(scale), np.arange(40), lambda: None)
    expected = nearest_picks(x, np.arange(40), lambda: None)
    np.testing.assert_array_equal(found.rows, expected.rows)


def test_a_row_between_two_picks_belongs_to_the_one_picked_first():
    x = np.float32([[0], [1], [2], [1]])
    for picks in ([0, 2], [2, 0]):
        found = nearest_picks(x, np.array(picks), lambda: None)
        assert found.rows.tolist() == [0, picks[0], 2, picks[0]]
        assert found.shares.tolist() == [0.75, 0.25]


def test_a_copy_of_a_pick_stands_for_nothing_when_it_comes_later():
    found = nearest_picks(np.ones((4, 3), np.float32), np.array([2, 1]), lambda: None)
    assert found.rows.tolist() == [2, 2, 2, 2]
    assert found.shares.tolist() == [1, 0]


def test_it_stops_when_cancelled():
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        nearest_picks(np.ones((4, 3), np.float32), np.array([2]), token.check)


@pytest.mark.parametrize(("rows", "picks"), [(200_000, 5), (4000, 2000)])
def test_memory_stays_under_what_is_declared(rows, picks):
    x = np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32)
    tracemalloc.start()
    nearest_picks(x, np.arange(picks), lambda: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= bytes_of(rows, picks, 6)
