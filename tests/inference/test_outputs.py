"""What a run returns becomes one matrix, or is refused with a reason."""

import numpy as np
import pytest

from nextlabel_server.inference.outputs import read_embeddings, read_probabilities
from nextlabel_server.inference.unusable import Unusable


def read(value, rows=2, activation="none"):
    return read_probabilities({"p": value}, ["p"], rows, activation)


def test_a_matrix_is_passed_on_as_it_is():
    matrix = np.array([[0.25, 0.75], [0.5, 0.5]], np.float16)
    assert read(matrix) is matrix


def test_a_zipmap_becomes_a_column_a_class():
    found = read([{"no": 0.25, "yes": 0.75}, {"no": 0.5, "yes": 0.5}])
    np.testing.assert_array_equal(found, np.array([[0.25, 0.75], [0.5, 0.5]], np.float32))


def test_outputs_are_joined_in_the_order_given():
    values = {"b": np.float32([0.25, 0.5]), "a": np.float32([[0.75], [0.5]])}
    found = read_probabilities(values, ["a", "b"], 2, "none")
    np.testing.assert_array_equal(found, np.float32([[0.75, 0.25], [0.5, 0.5]]), strict=True)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_one_column_is_the_positive_class(shape):
    found = read(np.float32([0.25, 0.1]).reshape(shape))
    # float32(0.1) is 0.100000001490116119384765625 exactly.
    expected = [[0.75, 0.25], [0.899999998509883880615234375, 0.100000001490116119384765625]]
    np.testing.assert_array_equal(found, expected)


def test_one_column_of_logits_is_left_to_the_sigmoid():
    assert read(np.float32([[-3.0], [2.0]]), activation="sigmoid").tolist() == [[-3.0], [2.0]]


def test_one_column_has_no_softmax():
    with pytest.raises(Unusable, match="use sigmoid"):
        read(np.float32([[-3.0], [2.0]]), activation="softmax")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.int64([[1, 2], [3, 4]]), "'p' should hold floats, but the run gave int64"),
        ([np.float32([1, 2])], "should hold floats, but the run gave list"),
        ([], "should hold floats, but the run gave list"),
        (
            np.ones((3, 2), np.float32),
            r"shape \[2, columns\] for 2 rows, but the run gave \[3, 2\]",
        ),
        (np.ones((2, 2, 2), np.float32), r"gave \[2, 2, 2\]"),
        (np.ones((2, 0), np.float32), r"gave \[2, 0\]"),
        (np.float32(1), "float32"),
        (np.array(1.0), r"gave \[\]"),
        ([{0: 1.0}], r"gave \[1, 1\]"),
        ([{0: 0.5, 1: 0.5}, {0: 1.0}], "different classes in different rows"),
        ([{0: 0.5, 1: 0.5}, {0: 0.5, 2: 0.5}], "different classes in different rows"),
    ],
)
def test_anything_else_is_refused_with_what_was_found(value, says):
    with pytest.raises(Unusable, match=says):
        read(value)


def test_embeddings_are_a_matrix():
    matrix = np.ones((2, 5), np.float32)
    assert read_embeddings({"e": matrix}, "e", 2) is matrix
    with pytest.raises(Unusable, match="'e' should have the shape"):
        read_embeddings({"e": np.ones(2, np.float32)}, "e", 2)
