"""FP16 widened by its bits is what numpy's conversion gives."""

import numpy as np
import pytest

from nextlabel_server.selection import halves

EVERY_ONE = np.arange(0x3C00 + 1, dtype=np.uint16).view(np.float16)  # 0 to 1, subnormal ones too


def test_every_number_from_0_to_1_is_the_same_in_float32():
    wide = np.empty(len(EVERY_ONE), np.float32)
    halves.widen(EVERY_ONE, out=wide)
    np.testing.assert_array_equal(wide, EVERY_ONE.astype(np.float32))
    assert halves.up_to_one(EVERY_ONE)


def test_rows_are_widened_into_columns():
    block = EVERY_ONE[:12].reshape(4, 3)
    wide = np.empty((3, 4), np.float32)
    halves.widen(block.T, out=wide)
    np.testing.assert_array_equal(wide, block.T.astype(np.float32))


@pytest.mark.parametrize("other", [-1.0, -0.0, 1.001, np.inf, -np.inf, np.nan])
def test_other_numbers_are_left_to_numpy(other):
    assert not halves.up_to_one(np.array([0.5, other], np.float16))
