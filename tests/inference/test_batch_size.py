"""The rows of one run: bounded by rows, by bytes, and by the model."""

import numpy as np
import pytest

from nextlabel_server.inference.batch_size import (
    DEFAULT_LIMIT,
    batch_rows,
    chosen_limit,
    fixed_rows,
)
from nextlabel_server.inference.tensors import TensorInfo
from nextlabel_server.inference.unusable import Unusable


def tensor(shape, dtype="float32", name="x"):
    return TensorInfo(name, np.dtype(dtype), shape, "tensor(float)")


def test_small_rows_are_bounded_in_number():
    assert batch_rows([tensor((None, 10))], DEFAULT_LIMIT, {}) == 256
    assert batch_rows([tensor((None, 10))], chosen_limit(7), {}) == 7


def test_large_rows_are_bounded_in_bytes():
    assert batch_rows([tensor((None, 2048))], DEFAULT_LIMIT, {}) == 32  # 8 KiB a row
    image = tensor((None, 3, 224, 224))  # 602,112 bytes a row: 6.97 of them are 4 MiB
    assert batch_rows([image], DEFAULT_LIMIT, {}) == 1
    assert batch_rows([image], chosen_limit(64), {}) == 6
    assert batch_rows([image], chosen_limit(4), {}) == 4


def test_open_axes_take_their_size_from_the_declared_shape():
    tokens = tensor((None, None), "int64")
    assert batch_rows([tokens], DEFAULT_LIMIT, {}) == 256
    assert batch_rows([tokens], DEFAULT_LIMIT, {"x": (-1, 512)}) == 64  # 4 KiB a row
    assert batch_rows([tokens], DEFAULT_LIMIT, {"x": (50_000, 512)}) == 64


def test_rows_of_several_inputs_add_up():
    ids, mask = tensor((None, 512), "int64", "ids"), tensor((None, 512), "int64", "mask")
    assert batch_rows([ids, mask], DEFAULT_LIMIT, {}) == 32


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
