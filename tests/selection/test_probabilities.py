"""From raw values to probability vectors: activation, tolerance, renormalization, refusals."""

import math

import numpy as np
import pytest

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.probabilities import ProbabilityReader


def read(values, dtype=np.float64, *, activation="none", tolerance=1e-3, renormalize=False):
    """The rows [n, C] as the strategies get them, put together again."""
    block = np.asarray(values, dtype=dtype)
    reader = ProbabilityReader(activation, tolerance, renormalize)
    rows = np.full((len(block), reader.classes(block.shape[1])), np.nan)
    with np.errstate(all="ignore"):  # as the scorer does
        for place, tile in reader.tiles(block, 0):
            rows[place] = tile.T[: place.stop - place.start]
    return rows


def refusal_of(values, dtype=np.float64, **options):
    with pytest.raises(InvalidRequest) as refusal:
        read(values, dtype, **options)
    (violation,) = refusal.value.violations
    assert violation.field == "probabilities"
    return violation.description


def test_probabilities_are_taken_as_they_are():
    rows = [[0.25, 0.75], [1.0, 0.0]]
    np.testing.assert_array_equal(read(rows), rows)


@pytest.mark.parametrize("classes", [64, 65])
def test_tiles_put_together_are_the_pool_in_either_layout(classes):
    pool = np.random.default_rng(0).dirichlet(np.ones(classes), 1201)
    np.testing.assert_array_equal(read(pool), pool)


def test_softmax_divides_exponentials_by_their_sum():
    e = math.e
    expected = [[1 / (1 + e + e**2), e / (1 + e + e**2), e**2 / (1 + e + e**2)]]
    np.testing.assert_allclose(read([[0, 1, 2]], activation="softmax"), expected, rtol=1e-15)


def test_softmax_takes_logits_whose_exponentials_overflow():
    logits = [[1000, -1000], [-1000, -1000], [1e308, -1e308], [1000, 1000 - math.log(3)]]
    expected = [[1, 0], [0.5, 0.5], [1, 0], [0.75, 0.25]]
    np.testing.assert_allclose(read(logits, activation="softmax"), expected, rtol=1e-12)


def test_sigmoid_of_one_column_is_the_second_of_two_classes():
    rows = read([[0], [math.log(3)], [-1000], [1000]], activation="sigmoid")
    np.testing.assert_allclose(rows, [[0.5, 0.5], [0.25, 0.75], [1, 0], [0, 1]], rtol=1e-15)


def test_sigmoid_of_several_columns_treats_each_alone():
    rows = read([[math.log(3), -math.log(3)], [1000, -1000]], activation="sigmoid")
    np.testing.assert_allclose(rows, [[0.75, 0.25], [1, 0]], rtol=1e-15)


def test_sigmoids_that_do_not_sum_to_one_are_refused_unless_renormalized():
    assert refusal_of([[0, 0, 0]], activation="sigmoid").startswith("row 0 sums to 1.5;")
    rows = read([[0, 0, 0]], activation="sigmoid", renormalize=True)
    np.testing.assert_allclose(rows, [[1 / 3] * 3], rtol=1e-15)


def test_renormalizing_takes_counts_for_probabilities():
    rows = read([[3, 1], [0, 7]], renormalize=True)
    np.testing.assert_array_equal(rows, [[0.75, 0.25], [0, 1]])


def test_a_row_of_nothing_cannot_be_renormalized():
    shown = refusal_of([[1, 0], [0, 0]], renormalize=True)
    assert shown == "row 1 sums to 0; it cannot be renormalized"


def test_a_sum_that_overflows_cannot_be_renormalized():
    shown = refusal_of([[1e308, 1e308]], renormalize=True)
    assert shown == "row 0 sums to inf; it cannot be renormalized"


@pytest.mark.parametrize("total", [0.9992, 1.0008])
def test_a_sum_within_the_tolerance_passes_unchanged(total):
    rows = [[total - 0.5, 0.5]]
    np.testing.assert_array_equal(read(rows), rows)


@pytest.mark.parametrize(("total", "shown"), [(0.9988, "0.9988"), (1.0012, "1.0012"), (3, "3")])
def test_a_sum_beyond_the_tolerance_is_refused_with_what_would_help(total, shown):
    assert refusal_of([[0.5, 0.5], [total - 0.5, 0.5]]) == (
        f"row 1 sums to {shown}; 1 within 0.001 is right "
        "(or set a parameter: renormalize to divide by the sum, activation for logits)"
    )


def test_the_tolerance_is_the_callers():
    read([[0.5, 0.9]], tolerance=0.45)
    refusal_of([[0.5, 0.9]], tolerance=0.35)
    refusal_of([[0.5, 0.5 + 1e-9]], tolerance=0)
    read([[0.5, 0.5]], tolerance=0)


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("classes", [3, 10, 64, 65])
def test_a_row_is_judged_alike_alone_and_among_others(classes, members):
    shape = 800 if members is None else (800, members)
    pool = np.random.default_rng(classes).dirichlet(np.ones(classes), shape)
    reader = ProbabilityReader(tolerance=0)  # a last bit decides
    fine = np.ones(len(pool), dtype=np.bool_)
    for i in range(len(pool)):
        try:
            list(reader.tiles(pool[i : i + 1], 0))
        except InvalidRequest:
            fine[i] = False
    assert 0 < fine.sum() < len(pool)
    list(reader.tiles(pool[fine], 0))
    with pytest.raises(InvalidRequest, match=f"row {np.argmin(fine)} "):
        list(reader.tiles(pool, 0))


def test_half_precision_is_allowed_four_thousandths_more():
    near, beyond = [[0.5, 516 / 1024]], [[0.5, 518 / 1024]]  # sums of 1.0039 and 1.0059
    read(near, np.float16)
    refusal_of(near, np.float32)
    assert "1 within 0.005 is right" in refusal_of(beyond, np.float16)


def test_the_first_of_several_bad_rows_is_named_whatever_is_wrong_with_it():
    rows = np.full((5000, 2), 0.5)
    rows[4998] = np.nan
    rows[4997] = [0.5, 0.25]
    rows[4999] = [-1, 2]
    assert refusal_of(rows).startswith("row 4997 sums to 0.75;")


def test_rows_are_counted_from_where_the_block_starts():
    reader = ProbabilityReader("none", 1e-3, False)
    with pytest.raises(InvalidRequest, match="row 1001 has nan in column 1"):
        list(reader.tiles(np.array([[0.5, 0.5], [0.5, np.nan]]), 1000))


def test_negative_values_hint_at_logits():
    assert refusal_of([[1.5, -0.5]]) == (
        "row 0 has -0.5 in column 1; probabilities are at least 0 "
        "(for logits, set the parameter activation)"
    )


@pytest.mark.parametrize("activation", ["none", "softmax", "sigmoid"])
@pytest.mark.parametrize("renormalize", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_not_finite_is_refused_however_it_is_read(activation, renormalize, value, dtype):
    rows = [[0, 0], [0, value]] if activation == "sigmoid" else [[0.5, 0.5], [0.5, value]]
    shown = refusal_of(rows, dtype, activation=activation, renormalize=renormalize)
    assert shown == f"row 1 has {value} in column 1; finite numbers are right"


@pytest.mark.parametrize("order", ["F", "C"])
def test_the_layout_of_a_block_in_memory_does_not_matter(order):
    pool = np.random.default_rng(0).dirichlet(np.ones(5), 100)
    np.testing.assert_array_equal(read(np.array(pool, order=order)), pool)
