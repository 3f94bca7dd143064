"""Declared shapes and types: what fits together, and what a refusal says."""

import numpy as np
import pytest

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import bind_shapes
from nextlabel_server.selection.tensors import (
    COST_MATRIX,
    EXCLUDED,
    PROBABILITIES,
    UNKNOWN_ROWS,
    finite_numbers,
)

TAKEN = (PROBABILITIES, COST_MATRIX, EXCLUDED)


def declared(**tensors):
    return {name: (np.dtype(dtype), shape) for name, (dtype, shape) in tensors.items()}


def refusal_of(**tensors):
    with pytest.raises(InvalidRequest) as refusal:
        bind_shapes(TAKEN, declared(**tensors))
    (violation,) = refusal.value.violations
    return violation.field, violation.description


def test_every_letter_gets_its_size():
    sizes = bind_shapes(TAKEN, declared(probabilities=("f4", (10, 3)), cost_matrix=("f8", (3, 3))))
    assert sizes == {"N": 10, "C": 3}


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_probabilities_come_in_three_precisions(dtype):
    assert bind_shapes(TAKEN, declared(probabilities=(dtype, (1, 2)))) == {"N": 1, "C": 2}


def test_rows_may_be_unknown_or_none():
    for rows in (UNKNOWN_ROWS, 0):
        sizes = bind_shapes(TAKEN, declared(probabilities=("f4", (rows, 2))))
        assert sizes == {"N": rows, "C": 2}
    assert bind_shapes(TAKEN, declared(excluded=("i8", (0,)))) == {"K": 0}


def test_tensors_that_are_not_taken_are_not_looked_at():
    assert bind_shapes((PROBABILITIES,), declared(excluded=("f4", (1, 2, 3)))) == {}


def test_a_type_that_is_not_taken_is_refused_with_those_that_are():
    assert refusal_of(probabilities=("i4", (10, 3))) == (
        "probabilities",
        "found int32; it takes float16, float32, float64",
    )
    assert refusal_of(excluded=("f8", (3,))) == (
        "excluded",
        "found float64; it takes int64, int32, uint32",
    )


@pytest.mark.parametrize("shape", [(10,), (10, 3, 1), ()])
def test_a_wrong_rank_is_refused_with_the_shape_in_letters(shape):
    problem = f"found shape {list(shape)}; [N, C] is right"
    assert refusal_of(probabilities=("f4", shape)) == ("probabilities", problem)


def test_an_empty_axis_other_than_rows_is_refused():
    assert refusal_of(probabilities=("f4", (10, 0))) == (
        "probabilities",
        "found shape [10, 0]; C must be at least 1",
    )


def test_sizes_that_contradict_another_tensor_name_it():
    assert refusal_of(probabilities=("f4", (10, 3)), cost_matrix=("f4", (4, 4))) == (
        "cost_matrix",
        "found shape [4, 4]; [C, C] with C = 3, as in probabilities, is right",
    )


def test_sizes_that_contradict_each_other_in_one_tensor_are_refused():
    assert refusal_of(cost_matrix=("f4", (3, 4))) == (
        "cost_matrix",
        "found shape [3, 4]; [C, C] with C = 3, as in cost_matrix, is right",
    )


def test_a_reference_becomes_doubles_of_the_same_values():
    values = np.array([[0.5, 2], [-3, 0]], dtype=np.float16)
    accepted = finite_numbers("cost_matrix", values)
    assert accepted.dtype == np.float64
    np.testing.assert_array_equal(accepted, values)


def test_a_reference_that_is_not_finite_is_refused_at_its_first_place():
    values = np.array([[0, 1], [np.nan, np.inf]], dtype=np.float32)
    with pytest.raises(InvalidRequest) as refusal:
        finite_numbers("cost_matrix", values)
    (violation,) = refusal.value.violations
    assert violation.field == "cost_matrix"
    assert violation.description == "found nan at [1, 0]; finite numbers are right"
