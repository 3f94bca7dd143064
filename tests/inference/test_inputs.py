"""A model's inputs: what is taken, what is refused, and how it is said."""

import numpy as np
import pytest

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.inference.inputs import check_inputs, convert
from nextlabel_server.inference.tensors import TensorInfo

ONNX_TYPES = {
    "float16": "tensor(float16)",
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "object": "tensor(string)",
}


def tensor(dtype="float32", shape=(None, 4), name="x"):
    return TensorInfo(name, np.dtype(dtype), shape, ONNX_TYPES.get(dtype, f"tensor({dtype})"))


def declare(dtype, shape):
    return np.dtype(dtype), shape


def refusal(inputs, declared):
    with pytest.raises(InvalidRequest) as caught:
        check_inputs(inputs, declared)
    [violation] = caught.value.violations
    return violation.field, violation.description


@pytest.mark.parametrize(
    ("takes", "found"),
    [
        *[("float32", dtype) for dtype in ("float16", "float64", "int64", "uint8", "bool")],
        *[("float16", "float64"), ("float64", "float32")],
        *[("int64", dtype) for dtype in ("int32", "uint64", "bool")],
        *[("int32", "int64"), ("uint8", "int64"), ("uint64", "bool"), ("bool", "uint8")],
        *[("object", "object"), ("object", "<U7")],
    ],
)
def test_types_that_can_hold_the_same_values_are_taken(takes, found):
    check_inputs([tensor(takes)], {"x": declare(found, (10, 4))})


@pytest.mark.parametrize(
    ("takes", "found", "says"),
    [
        ("int64", "float32", "found float32, but the model takes integers ('x' tensor(int64)"),
        ("float32", "object", "found strings, but the model takes floats or integers"),
        ("object", "int64", "found int64, but the model takes strings"),
        ("bool", "float32", "found float32, but the model takes booleans"),
    ],
)
def test_other_types_are_refused(takes, found, says):
    field, description = refusal([tensor(takes)], {"x": declare(found, (10, 4))})
    assert field == "inputs.x"
    assert says in description


@pytest.mark.parametrize("rows", [-1, 0, 1, 10**9])
def test_any_number_of_rows_is_taken(rows):
    check_inputs([tensor()], {"x": declare("float32", (rows, 4))})


def test_an_open_axis_takes_any_size_but_none():
    ids = tensor("int64", (None, None))
    check_inputs([ids], {"x": declare("int64", (-1, 77))})
    for size in (0, -1):
        field, description = refusal([ids], {"x": declare("int64", (10, size))})
        assert field == "inputs.x"
        assert description == f"found the shape [10, {size}], but the model takes [rows, any]"


@pytest.mark.parametrize(
    ("takes", "found", "says"),
    [
        ((None, 4), (10, 5), "found the shape [10, 5], but the model takes [rows, 4]"),
        ((None, 1), (10,), "found the shape [10], but the model takes [rows, 1]"),
        ((None,), (10, 1), "found the shape [10, 1], but the model takes [rows]"),
        ((None, 1, 28, 28), (-1, 784), "[-1, 784], but the model takes [rows, 1, 28, 28]"),
    ],
)
def test_a_wrong_shape_is_refused_with_the_right_one(takes, found, says):
    field, description = refusal([tensor(shape=takes)], {"x": declare("float32", found)})
    assert field == "inputs.x"
    assert says in description


def test_an_unknown_input_is_refused_with_the_list():
    inputs = [tensor(name="ids", dtype="int64"), tensor(name="mask", dtype="int64")]
    field, description = refusal(inputs, {"idz": declare("int64", (10, 4))})
    assert field == "inputs.idz"
    assert description == (
        "no such input; the model takes 'ids' tensor(int64) [rows, 4], "
        "'mask' tensor(int64) [rows, 4]"
    )


def test_a_missing_input_is_refused():
    inputs = [tensor(name="ids"), tensor(name="mask")]
    field, description = refusal(inputs, {"ids": declare("float32", (10, 4))})
    assert field == "inputs.mask"
    assert description.startswith("is missing")


def test_values_of_the_right_type_are_not_copied():
    values = np.ones((3, 4), np.float32)
    assert convert(tensor(), values, first_row=0) is values


@pytest.mark.parametrize(
    ("takes", "values", "expected"),
    [
        ("float32", np.array([1.5, -2.0], np.float64), [1.5, -2.0]),
        ("float32", np.array([0, 255], np.uint8), [0.0, 255.0]),
        ("float32", np.array([True, False]), [1.0, 0.0]),
        ("float16", np.array([np.inf, np.nan]), [np.inf, np.nan]),
        ("int32", np.array([-7, 7], np.int64), [-7, 7]),
        ("uint64", np.array([0, 2**62], np.int64), [0, 2**62]),
        ("bool", np.array([0, 1], np.int64), [False, True]),
        ("int64", np.array([True, False]), [1, 0]),
        ("int64", np.array([0, 2**63 - 1], np.uint64), [0, 2**63 - 1]),
        ("object", np.array(["a", "bé"]), ["a", "bé"]),
        # ONNX Runtime would read these bytes in the wrong order, without a word.
        ("float32", np.array([1.0, 2.0], ">f4"), [1.0, 2.0]),
    ],
)
def test_values_survive_conversion(takes, values, expected):
    converted = convert(tensor(takes, (None,)), values, first_row=0)
    np.testing.assert_array_equal(converted, np.array(expected, takes), strict=True)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("sign", ["int", "uint"])
def test_booleans_fit_in_every_type_of_integers(sign, bits):
    takes = f"{sign}{bits}"
    converted = convert(tensor(takes, (None,)), np.array([True, False]), first_row=0)
    np.testing.assert_array_equal(converted, np.array([1, 0], takes), strict=True)


@pytest.mark.parametrize(
    ("takes", "values", "says"),
    [
        ("uint8", np.array([[0, 255], [3, 256]]), "row 101: 256 does not fit in tensor(uint8)"),
        ("uint64", np.array([[5], [-1]]), "row 101: -1 does not fit in tensor(uint64)"),
        ("int64", np.array([2**63], np.uint64), f"row 100: {2**63} does not fit"),
        ("int32", np.array([1, 2**31]), f"row 101: {2**31} does not fit"),
        ("bool", np.array([1, 2]), "row 101: 2 does not fit in tensor(bool)"),
        ("float16", np.array([1.0, 70000.0]), "row 101: 70000.0 does not fit in tensor(float16)"),
        ("float32", np.array([1e39]), "row 100: 1e+39 does not fit in tensor(float)"),
    ],
)
def test_values_that_the_model_has_no_room_for_are_refused_by_row(takes, values, says):
    with pytest.raises(InvalidRequest) as caught:
        convert(tensor(takes, (None,) * values.ndim), values, first_row=100)
    [violation] = caught.value.violations
    assert violation.field == "inputs.x"
    assert says in violation.description
