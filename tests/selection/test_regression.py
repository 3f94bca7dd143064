"""Regression strategies against arithmetic done by hand and a slow definition."""

import statistics

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel_server.errors import InvalidRequest
from tests.selection.scores import scores_of

VALUES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 30), st.sampled_from([1, 2, 5, 70])),
    elements=st.floats(-1e6, 1e6),
)


def test_the_standard_deviation_is_the_score():
    sent = np.array([0.5, 0.0, 2.5], np.float32)
    assert scores_of("std", sent).tolist() == [0.5, 0.0, 2.5]


def test_the_variance_of_members_by_hand():
    # Means 2, 5 and 0: squared distances 1 + 1, none, and 9 + 9, over two members.
    assert scores_of("variance_of_members", [[1.0, 3], [5, 5], [-3, 3]]).tolist() == [1, 0, 9]


def test_a_lone_member_has_no_variance():
    assert scores_of("variance_of_members", [[4.0], [-1e9]]).tolist() == [0, 0]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(values=VALUES)
def test_the_variance_of_members_is_that_of_exact_arithmetic(values):
    expected = [statistics.pvariance(row) for row in values.tolist()]
    found = scores_of("variance_of_members", values)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-8)


def test_values_far_from_zero_keep_their_variance():
    spread = np.array([[0.0, 1, 2, 3]])
    assert scores_of("variance_of_members", spread + 1e9) == scores_of(
        "variance_of_members", spread
    )


@pytest.mark.parametrize(
    ("name", "rows", "field", "problem"),
    [
        ("std", [1.0, -0.5], "std", "row 1 has -0.5; at least 0 is right"),
        ("std", [1.0, np.inf], "std", "row 1 has inf; finite numbers are right"),
        (
            "variance_of_members",
            [[1.0, 2], [3, np.nan]],
            "committee_values",
            "row 1 has nan in column 1; finite numbers are right",
        ),
    ],
)
def test_a_bad_row_is_named(name, rows, field, problem):
    with pytest.raises(InvalidRequest) as refusal:
        scores_of(name, rows)
    (violation,) = refusal.value.violations
    assert (violation.field, violation.description) == (field, problem)
