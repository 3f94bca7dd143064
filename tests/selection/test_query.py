"""Budgets, excluded rows and the query as a whole."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import Budget, Query, Sizes, sampling_named, strategy_named
from tests.selection.picks import pick

SCORES = np.array([0.1, 0.4, 0.2, 0.4, 0.3])


def query(count=2, *, strategy="entropy", sampling="top", parameters=(), sampling_parameters=()):
    return Query.accept(
        strategy_named(strategy),
        dict(parameters),
        Budget(count=count),
        sampling_named(sampling),
        dict(sampling_parameters),
        seed=11,
    )


def picked(excluded, count=2):
    asked = query(count)
    return pick(asked, SCORES, np.asarray(excluded), asked.generator())


def violation_of(refusal):
    (violation,) = refusal.value.violations
    return violation.field, violation.description


class TestBudget:
    @pytest.mark.parametrize(
        ("fraction", "rows", "expected"),
        [
            (0.07, 100, 7),  # 0.07 · 100 is 7.000000000000001 in binary
            (0.29, 100, 29),  # 28.999999999999996
            (0.1, 10_000_000, 1_000_000),
            (0.55, 100, 55),
            (0.011, 100, 2),
            (1e-9, 10, 1),
            (1.0, 7, 7),
            (0.5, 0, 0),
            (0.9999999999999999, 10, 10),
        ],
    )
    def test_a_fraction_rounds_up_as_it_is_written(self, fraction, rows, expected):
        assert Budget(fraction=fraction).rows(rows) == expected

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(thousandths=st.integers(1, 1000), rows=st.integers(0, 10**9))
    def test_thousandths_round_up_exactly(self, thousandths, rows):
        expected = ceil(Fraction(thousandths, 1000) * rows)
        assert Budget(fraction=thousandths / 1000).rows(rows) == expected

    def test_a_count_is_wanted_whether_or_not_the_pool_has_as_many(self):
        assert Budget(count=5).rows(3) == 5

    @pytest.mark.parametrize("count", [0, -1])
    def test_a_count_below_one_is_refused(self, count):
        with pytest.raises(InvalidRequest) as refusal:
            Budget(count=count)
        assert violation_of(refusal) == ("budget.count", f"found {count}; at least 1 is right")

    @pytest.mark.parametrize(
        ("fraction", "shown"),
        [(0.0, "0"), (-0.5, "-0.5"), (1.5, "1.5"), (float("nan"), "nan"), (float("inf"), "inf")],
    )
    def test_a_fraction_that_is_no_share_is_refused(self, fraction, shown):
        with pytest.raises(InvalidRequest) as refusal:
            Budget(fraction=fraction)
        assert violation_of(refusal) == (
            "budget.fraction",
            f"found {shown}; above 0 and at most 1 is right",
        )


class TestExcluded:
    @pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint32])
    def test_excluded_rows_are_passed_over_in_any_type(self, dtype):
        picks = picked(np.array([3, 1], dtype=dtype))
        assert picks.rows.tolist() == [4, 2]
        assert picks.scores.tolist() == [0.3, 0.2]
        assert picks.eligible == 3
        assert not picks.exhausted

    def test_nothing_excluded_leaves_every_row(self):
        picks = picked(np.empty(0, np.int64))
        assert picks.rows.tolist() == [1, 3]
        assert picks.eligible == 5

    def test_a_budget_above_what_is_left_is_exhausted(self):
        picks = picked([1, 3], count=4)
        assert picks.rows.tolist() == [4, 2, 0]
        assert picks.exhausted

    @pytest.mark.parametrize(
        ("excluded", "problem"),
        [
            ([0, 5], "found 5 at position 1; 0 to 4 is right"),
            ([2, 1, -1, 9], "found -1 at position 2; 0 to 4 is right"),
            ([3, 0, 3], "row 3 is named more than once"),
            ([4, 4, 2, 2], "row 2 is named more than once"),
        ],
    )
    def test_rows_that_cannot_be_excluded_are_refused(self, excluded, problem):
        with pytest.raises(InvalidRequest) as refusal:
            picked(excluded)
        assert violation_of(refusal) == ("excluded", problem)

    @pytest.mark.parametrize("dtype", [np.int32, np.uint32])
    def test_the_highest_number_of_a_type_is_out_of_range_like_any_other(self, dtype):
        highest = np.iinfo(dtype).max
        with pytest.raises(InvalidRequest, match=f"found {highest} at position 0; 0 to 4"):
            picked(np.array([highest], dtype=dtype))

    def test_an_empty_pool_has_no_row_to_exclude(self):
        asked = query()
        with pytest.raises(InvalidRequest, match="none, as the pool is empty, is right"):
            pick(asked, np.empty(0), np.array([0]), asked.generator())


class TestQuery:
    def test_defaults_are_filled_in_from_the_declarations(self):
        asked = query(sampling="power")
        assert asked.parameters == {
            "normalize": False,
            "activation": "auto",
            "tolerance": 1e-3,
            "renormalize": False,
            "reduce": "mean",
            "empty_score": 0.0,
        }
        assert asked.sampling_parameters == {"beta": 1.0}

    def test_a_wrong_parameter_of_the_strategy_names_its_field(self):
        with pytest.raises(InvalidRequest) as refusal:
            query(parameters={"normalise": True})
        assert violation_of(refusal) == (
            "parameters.normalise",
            (
                "unknown; entropy takes normalize, activation, tolerance, renormalize, reduce, "
                "empty_score"
            ),
        )

    def test_a_wrong_parameter_of_the_sampling_names_its_field(self):
        with pytest.raises(InvalidRequest) as refusal:
            query(sampling="power", sampling_parameters={"beta": -1})
        assert violation_of(refusal) == (
            "sampling.parameters.beta",
            "found -1; a finite number at least 0 and at most 1e+06 is right",
        )

    def test_a_sampling_without_parameters_says_so(self):
        with pytest.raises(InvalidRequest, match="unknown; sampling top takes no parameters"):
            query(sampling_parameters={"beta": 1})

    def test_power_is_refused_for_scores_below_zero(self):
        with pytest.raises(InvalidRequest) as refusal:
            query(strategy="threshold", sampling="power", parameters={"class_index": 0})
        field, problem = violation_of(refusal)
        assert field == "sampling.method"
        assert problem.endswith("threshold gives negative ones; softmax or softrank is right")

    def test_every_generator_starts_at_the_seed(self):
        asked = query()
        assert asked.generator().random() == asked.generator().random()
        assert asked.generator().random() == np.random.default_rng(11).random()

    def test_memory_grows_with_the_pool_and_what_is_kept_of_it(self):
        one, all_of_them = Sizes(N=1000, B=1), Sizes(N=1000, B=1000)
        bare = query(count=1).memory_bytes(one, 0)
        assert bare >= 1000 * (8 + 1)  # a double and a mark for each row
        assert query(count=1).memory_bytes(one, 10) >= bare + 10 * 8
        assert query(count=1000).memory_bytes(all_of_them, 0) > bare
        assert query(count=1, sampling="softrank").memory_bytes(one, 0) > bare
