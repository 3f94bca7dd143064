"""`top` is the head of a full sort, however the scores are cut into chunks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel_server.selection import ranking

MODEST = settings(max_examples=150, deadline=None, derandomize=True)
FEW_VALUES = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.1, 0.2, 0.30000000000000004, np.inf])


def head_of_full_sort(scores, count, eligible=None):
    rows = range(len(scores)) if eligible is None else np.flatnonzero(eligible).tolist()
    return sorted(rows, key=lambda row: (-scores[row], row))[:count]


@pytest.fixture(params=[1, 3, 8, 1 << 16])
def chunk(request, monkeypatch):
    monkeypatch.setattr(ranking, "_CHUNK", request.param)


@pytest.fixture(scope="module", params=[1, 3, 8, 1 << 16])
def chunk_of_module(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_CHUNK", request.param)
        yield


@pytest.mark.usefixtures("chunk_of_module")
class TestTop:
    @MODEST
    @given(values=st.lists(FEW_VALUES, max_size=40), count=st.integers(0, 45))
    def test_is_the_head_of_a_full_sort(self, values, count):
        scores = np.array(values, dtype=np.float64)
        assert ranking.top(scores, count).tolist() == head_of_full_sort(scores, count)

    @MODEST
    @given(
        pool=st.lists(st.tuples(FEW_VALUES, st.booleans()), max_size=40), count=st.integers(0, 45)
    )
    def test_takes_eligible_rows_only(self, pool, count):
        scores = np.array([value for value, _ in pool], dtype=np.float64)
        eligible = np.array([may for _, may in pool], dtype=np.bool_)
        expected = head_of_full_sort(scores, count, eligible)
        assert ranking.top(scores, count, eligible).tolist() == expected

    @MODEST
    @given(values=st.lists(st.floats(allow_nan=False), max_size=40), count=st.integers(0, 45))
    def test_orders_any_numbers(self, values, count):
        scores = np.array(values, dtype=np.float64)
        assert ranking.top(scores, count).tolist() == head_of_full_sort(scores, count)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101])
def test_equal_scores_come_in_row_order(count):
    assert ranking.top(np.zeros(100), count).tolist() == list(range(min(count, 100)))


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("count", [1, 17, 400])
def test_rising_and_falling_scores_are_ranked_across_chunks(count):
    rising = np.arange(400.0)
    assert ranking.top(rising, count).tolist() == list(range(399, 399 - count, -1))
    assert ranking.top(-rising, count).tolist() == list(range(count))


@pytest.mark.parametrize("count", [0, 1, 1000, 200_000, 200_001])
def test_large_pools_with_many_ties_agree_with_lexsort(count):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, 200_000) / 7
    eligible = rng.random(200_000) < 0.7
    order = np.lexsort((np.arange(200_000), -scores))
    np.testing.assert_array_equal(ranking.top(scores, count), order[:count])
    np.testing.assert_array_equal(
        ranking.top(scores, count, eligible), order[eligible[order]][:count]
    )


def test_an_empty_pool_and_a_negative_count_give_nothing():
    assert not len(ranking.top(np.empty(0), 3))
    assert not len(ranking.top(np.ones(3), -1))


def test_rows_are_64_bit_numbers_even_when_there_are_none():
    for count in (0, 2):
        assert ranking.top(np.ones(3), count).dtype == np.int64
