"""Items made of parts: offsets that are right, offsets that are not, and what parts add up to."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import ITEM_OFFSETS, Items, all_strategies, strategy_named
from nextlabel_server.selection.tensors import COMMITTEE
from tests.selection.scores import scores_of


def items(*offsets):
    return Items.accept("item_offsets", np.array(offsets, np.int64))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", [1.5, 9.0, 4.0, 9.0]),
        ("sum", [3.0, 9.0, 12.0, 9.0]),
        ("max", [2.0, 9.0, 6.0, 9.0]),
        ("min", [1.0, 9.0, 2.0, 9.0]),
    ],
)
def test_an_item_is_the_mean_sum_or_extreme_of_its_parts(how, expected):
    scores = np.array([1.0, 2, 4, 6, 2])
    assert items(0, 2, 2, 5, 5).reduce(scores, how, 9.0).tolist() == expected


def test_items_of_one_part_score_as_the_part():
    scores = np.random.default_rng(0).normal(size=100)
    for how in ("mean", "sum", "max", "min"):
        np.testing.assert_array_equal(items(*range(101)).reduce(scores, how, 0.0), scores)


@pytest.mark.parametrize("offsets", [(0,), (0, 0), (0, 0, 0)])
def test_without_parts_every_item_has_the_score_of_an_empty_one(offsets):
    made = items(*offsets)
    assert len(made) == len(offsets) - 1
    assert made.reduce(np.empty(0), "mean", -2.5).tolist() == [-2.5] * len(made)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(0, 20), max_size=12),
    how=st.sampled_from(["mean", "max", "sum", "min"]),
    seed=st.integers(0, 99),
)
def test_items_are_reduced_as_one_at_a_time(sizes, how, seed):
    offsets = [0, *np.cumsum(sizes).tolist()]
    scores = np.random.default_rng(seed).normal(size=offsets[-1])
    parts = [scores[i:j].tolist() for i, j in pairwise(offsets)]
    slow = {
        "mean": lambda p: math.fsum(p) / len(p),
        "sum": math.fsum,
        "max": max,
        "min": min,
    }[how]
    expected = [slow(p) if p else 0.25 for p in parts]
    found = items(*offsets).reduce(scores, how, 0.25)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 100, 129, 1000])
def test_an_item_has_the_same_bits_wherever_it_stands(size):
    rng = np.random.default_rng(size)
    parts = rng.random(size)
    found = set()
    for before in range(20):
        scores = np.concatenate([rng.random(before), parts, rng.random(3)])
        made = items(0, before, before + size, before + size + 3)
        found.add(made.reduce(scores, "mean", 0.0)[1])
    assert len(found) == 1


@pytest.mark.parametrize(
    ("offsets", "problem"),
    [
        ((1, 2), "found 1 at position 0; 0 is right"),
        ((-1, 2), "found -1 at position 0; 0 is right"),
        ((0, 3, 2, 1), "found 2 at position 2, after 3; offsets never decrease"),
    ],
)
def test_offsets_that_are_wrong_are_refused_at_the_first_place(offsets, problem):
    with pytest.raises(InvalidRequest) as refusal:
        items(*offsets)
    (violation,) = refusal.value.violations
    assert (violation.field, violation.description) == ("item_offsets", problem)


@pytest.mark.parametrize("rows", [4, 6])
def test_items_must_be_made_of_all_rows(rows):
    made = items(0, 2, 5)
    made.check_parts(5)
    with pytest.raises(InvalidRequest) as refusal:
        made.check_parts(rows)
    (violation,) = refusal.value.violations
    assert violation.description == (
        f"found 5 at position 2, the last; the pool has {rows} rows, so {rows} is right"
    )


def test_what_scores_a_vector_or_a_committee_takes_items_and_nothing_else_does():
    for strategy in all_strategies().values():
        takes = ITEM_OFFSETS.name in {tensor.name for tensor in strategy.tensors}
        scores_vectors = strategy.kind == "row_wise" and COMMITTEE in strategy.sources
        assert takes == (scores_vectors or strategy.name == "random"), strategy.name


def test_mnlp_by_hand():
    (score,) = scores_of("mnlp", [[0.25, 0.5, 0.25]])
    assert score == pytest.approx(0.6931471805599453, abs=1e-15)  # −ln ½
    assert strategy_named("mnlp") is strategy_named("maximum_normalized_log_probability")
    sure = scores_of("mnlp", [[0.0, 1.0]])
    assert sure.tolist() == [0]
    assert not np.signbit(sure).any()
