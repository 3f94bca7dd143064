"""The rows of one run: bounded by rows, by bytes, and by the model."""

import numpy as np
import pytest
from nextlabel_server.inference.batch_size import batch_rows, fixed_rows
from nextlabel_server.inference.tensors import TensorInfo
from nextlabel_server.inference.unusable import Unusable


def tensor(shape, dtype="float32", name="x"):
    return TensorInfo(name, np.dtype(dtype), shape, "tensor(float)")


def test_small_rows_are_bounded_by_the_limit():
    assert batch_rows([tensor((None, 10))], 256, {}) == 256


def test_large_rows_are_bounded_by_4_mib():
    image = tensor((None, 3, 224, 224))  # 602,112 bytes: 6.97 of them are 4 MiB
    assert batch_rows([image], 256, {}) == 6


def test_a_row_larger_than_the_bound_is_run_alone():
    assert batch_rows([tensor((None, 2_000_000))], 256, {}) == 1


def test_open_axes_take_their_size_from_the_declared_shape():
    tokens = tensor((None, None), "int64")
    assert batch_rows([tokens], 256, {}) == 256
    assert batch_rows([tokens], 256, {"x": (-1, 4096)}) == 128  # 32 KiB a row
    assert batch_rows([tokens], 256, {"x": (50_000, 4096)}) == 128


def test_rows_of_several_inputs_add_up():
    ids, mask = tensor((None, 4096), "int64", "ids"), tensor((None, 4096), "int64", "mask")
    assert batch_rows([ids, mask], 256, {}) == 64


@pytest.mark.parametrize(
    ("shapes", "rows"),
    [
        ([(None, 3)], None),
        ([(1, 3)], 1),
        ([(8, 3), (8,)], 8),
        ([(8, 3), (None, 2)], 8),
    ],
)
def test_rows_are_fixed_when_an_input_fixes_them(shapes, rows):
    assert fixed_rows([tensor(shape) for shape in shapes]) == rows


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ([(None, 3), ()], "no known row axis"),
        ([(1, 3), (2, 3)], "one batch size"),
        ([(0, 3)], "one batch size"),
    ],
)
def test_inputs_without_one_row_axis_are_refused(shapes, says):
    with pytest.raises(Unusable, match=says):
        fixed_rows([tensor(shape) for shape in shapes])
