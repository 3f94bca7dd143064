"""Every form in which a file holds the inputs of a model."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import POOL
from tests.cli.test_pools import ids, indices


@pytest.mark.parametrize("model", ["same", "same:1", "half", "half:1"])
def test_npy_is_the_only_input(select, pool, model):
    assert indices(select(pool, f"--model={model}")) == [1, 3, 2, 0]


def test_npz_has_inputs_by_name(select, tmp_path):
    np.savez(tmp_path / "pool.npz", a=POOL[:, :1], b=POOL[:, 1:], word=["w"] * 4)
    assert indices(select(tmp_path / "pool.npz", "--model=joined")) == [1, 3, 2, 0]


def test_csv_has_columns_named_as_the_inputs(select, tmp_path):
    path = tmp_path / "pool.csv"
    path.write_text("b,extra,word,id,a\n0.125,?,w,x,0.875\n0.5,?,,y,0.5\n0.25,?,w,z,0.75\n")
    assert ids(select(path, "--model=joined")) == ["y", "z", "x"]


def test_parquet_has_columns_named_as_the_inputs(select, tmp_path):
    columns = {"a": POOL[:, 0], "b": POOL[:, 1], "word": ["w"] * 4, "extra": [None] * 4}
    pq.write_table(pa.table(columns), tmp_path / "pool.parquet")
    assert indices(select(tmp_path / "pool.parquet", "--model=joined")) == [1, 3, 2, 0]


def test_a_column_of_lists_is_an_input_with_columns(select, tmp_path):
    pq.write_table(pa.table({"x": POOL.tolist(), "y": [1] * 4}), tmp_path / "pool.parquet")
    assert indices(select(tmp_path / "pool.parquet", "--model=same")) == [1, 3, 2, 0]


def test_the_columns_in_order_are_the_only_input_when_none_has_its_name(select, text_pool):
    assert ids(select(text_pool, "--model=same")) == ["b", "d", "c", "007"]


def test_a_column_that_is_missing_is_refused_with_what_there_is(refused, text_pool):
    said = refused(text_pool, "--model=joined")
    assert "inputs.a: " in said
    assert "has no such column; there is id, no, yes" in said


def test_an_empty_cell_of_text_is_refused(refused, tmp_path):
    columns = {"a": POOL[:, 0], "b": POOL[:, 1], "word": ["w", None, "w", "w"]}
    pq.write_table(pa.table(columns), tmp_path / "pool.parquet")
    assert "word: has an empty cell" in refused(tmp_path / "pool.parquet", "--model=joined")


def test_one_array_for_several_inputs_is_refused(refused, pool):
    assert "the model takes a, b, word: a .npz file" in refused(pool, "--model=joined")


@pytest.mark.parametrize(
    ("model", "exit_code", "words"),
    [
        ("other", 2, "no model 'other' on this server; there is broken, half, joined, same"),
        ("same:9", 2, "model 'same' has no version '9'; there is 1"),
        ("broken", 1, "model 'broken', version 1: "),
        ("half:2", 1, "model 'half', version 2: "),
        ("", 2, "no model ''"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(refused, pool, model, exit_code, words):
    assert words in refused(pool, f"--model={model}", exit_code=exit_code)
