"""The batcher: any blocks in, the same batches out."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextlabel_server.inference import Batcher


def batches(batcher, blocks):
    out = [found for block in blocks for found in batcher.add(block)]
    return out + list(batcher.finish())


@given(st.lists(st.integers(0, 12), max_size=12), st.integers(1, 7))
def test_batches_do_not_depend_on_how_the_blocks_were_cut(sizes, batch_size):
    total = sum(sizes)
    pool = {"x": np.arange(total * 2).reshape(total, 2), "y": np.arange(total) * 0.5}
    edges = np.cumsum([0, *sizes])
    blocks = [
        {name: values[start:stop] for name, values in pool.items()}
        for start, stop in pairwise(edges)
    ]

    found = batches(Batcher(batch_size), blocks)

    assert [first_row for first_row, _ in found] == list(range(0, total, batch_size))
    for first_row, batch in found:
        for name, values in pool.items():
            np.testing.assert_array_equal(
                batch[name], values[first_row : first_row + batch_size], strict=True
            )


def test_a_batch_inside_one_block_is_a_view_of_it():
    block = np.arange(20.0)
    found = list(Batcher(4).add({"x": block}))
    assert len(found) == 5
    assert all(np.shares_memory(batch["x"], block) for _, batch in found)


def test_rows_that_wait_do_not_keep_their_block_alive():
    block = np.arange(10.0)
    batcher = Batcher(4)
    list(batcher.add({"x": block}))
    block[:] = -1  # a view would see this
    [(first_row, rest)] = batcher.finish()
    assert first_row == 8
    assert rest["x"].tolist() == [8, 9]


def test_a_batch_that_was_handed_out_is_never_written_again():
    batcher = Batcher(2)
    blocks = [{"x": np.array([float(row)])} for row in range(6)]
    found = [batch["x"] for block in blocks for _, batch in batcher.add(block)]
    assert [batch.tolist() for batch in found] == [[0, 1], [2, 3], [4, 5]]


def test_strings_are_batched_like_numbers():
    texts = np.array([["a"], ["bé"], ["c\0d"]], object)
    found = batches(Batcher(2), [{"text": texts[:1]}, {"text": texts[1:]}])
    assert [batch["text"].tolist() for _, batch in found] == [[["a"], ["bé"]], [["c\0d"]]]


@pytest.mark.parametrize("blocks", [[], [{"x": np.empty((0, 3))}]])
def test_no_rows_make_no_batch(blocks):
    assert batches(Batcher(4), blocks) == []
