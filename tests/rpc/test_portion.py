"""Batches that are handed over together."""

import pytest

from nextlabel_server.rpc.portion import PORTION_BYTES, PORTION_SECONDS, batches_together


@pytest.mark.parametrize(
    ("batches", "seconds", "expected"),
    [
        (1, PORTION_SECONDS / 4.5, 4),
        (4, PORTION_SECONDS, 4),
        (4, PORTION_SECONDS * 2, 2),
        (1, PORTION_SECONDS * 100, 1),
    ],
)
def test_the_slower_a_model_the_fewer_batches_go_together(batches, seconds, expected):
    assert batches_together(batches, seconds, output_bytes=1) == expected


def test_outputs_that_wait_for_each_other_are_few():
    assert batches_together(1, 1e-9, PORTION_BYTES // 8) == 8
    assert batches_together(8, 1e-9, PORTION_BYTES * 2) == 4
    assert batches_together(1, 1e-9, PORTION_BYTES * 2) == 1
