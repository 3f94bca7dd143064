"""The caller's own ids: in with the pool, out with the picks; and rows not to be picked."""

import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nextlabel import Client, InvalidRequestError
from tests.client import oracle

ROWS = 1000
NAMES = [f"item-{row * 7 % ROWS:03}" for row in range(ROWS)]
IDS = {
    "list": NAMES,
    "tuple": tuple(NAMES),
    "array of text": np.array(NAMES),
    "array of objects": np.array(NAMES, dtype=object),
    "pandas, shuffled index": pd.Series(NAMES, index=np.arange(ROWS)[::-1]),
    "pandas index": pd.Index(NAMES),
    "polars": pl.Series(NAMES),
    "pyarrow": pa.array(NAMES),
    "UUIDs": [uuid.UUID(int=row * 7) for row in range(ROWS)],
    "whole numbers": [5000 - row for row in range(ROWS)],
    "numpy numbers": 5000 - np.arange(ROWS),
    "range": range(ROWS, 2 * ROWS),
    "pairs": [("file", row) for row in range(ROWS)],
    "dates": np.datetime64("2026-01-01") + np.arange(ROWS),
}


def plain(ids):
    return ids.to_pylist() if isinstance(ids, pa.Array) else list(ids)


@pytest.fixture
def best(probabilities):
    return lambda budget, excluded=(): oracle.best(oracle.margin(probabilities), budget, excluded)


def select(client, probabilities, **options):
    return client.select(probabilities, **{"strategy": "margin", "budget": 20, **options})


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.usefixtures("shape_of_call")
def test_ids_come_back_with_the_picks(server, open_client, probabilities, best, kind):
    ids = IDS[kind]
    with open_client(server.address) as client:
        picked = select(client, probabilities, ids=ids)
    assert picked.indices.tolist() == best(20)
    for own, pick, row in zip(picked.ids, picked, best(20), strict=True):
        assert own == pick.id == plain(ids)[row]


@pytest.mark.parametrize("kind", IDS)
def test_ids_name_the_rows_to_exclude(server, probabilities, best, kind):
    ids = IDS[kind]
    out = best(5)
    unwanted = [plain(ids)[row] for row in out]
    with Client(server.address) as client:
        picked = select(client, probabilities, ids=ids, exclude=unwanted)
    assert picked.indices.tolist() == best(20, out)


EXCLUDED = {
    "list": lambda rows, mask: rows,
    "tuple": lambda rows, mask: tuple(rows),
    "set": lambda rows, mask: set(rows),
    "generator": lambda rows, mask: (row for row in rows),
    "array": lambda rows, mask: np.array(rows, np.uint16),
    "pandas": lambda rows, mask: pd.Series(rows, index=rows[::-1]),
    "mask": lambda rows, mask: mask,
    "mask in a list": lambda rows, mask: mask.tolist(),
    "mask in pandas": lambda rows, mask: pd.Series(mask),
    "mask in polars": lambda rows, mask: pl.Series(mask),
}


@pytest.mark.parametrize("kind", EXCLUDED)
@pytest.mark.usefixtures("shape_of_call")
def test_excluded_rows_are_not_picked(server, open_client, probabilities, best, kind):
    out = best(7)
    exclude = EXCLUDED[kind](out, np.isin(np.arange(ROWS), out))
    with open_client(server.address) as client:
        picked = select(client, probabilities, exclude=exclude)
    assert picked.indices.tolist() == best(20, out)


@pytest.mark.parametrize("kind", ["tuple", "set", "generator"])
def test_ids_to_exclude_may_come_in_any_collection(server, probabilities, best, kind):
    names = [NAMES[row] for row in best(7)]
    exclude = EXCLUDED[kind](names, None)
    with Client(server.address) as client:
        picked = select(client, probabilities, ids=NAMES, exclude=exclude)
    assert picked.indices.tolist() == best(20, best(7))


@pytest.mark.parametrize("nothing", [[], (), set(), np.array([], np.int64), np.zeros(ROWS, bool)])
@pytest.mark.parametrize("ids", [None, NAMES])
@pytest.mark.usefixtures("shape_of_call")
def test_nothing_may_be_excluded(server, probabilities, best, nothing, ids):
    with Client(server.address) as client:
        picked = select(client, probabilities, exclude=nothing, ids=ids)
    assert picked.indices.tolist() == best(20)


@pytest.mark.usefixtures("shape_of_call")
def test_all_may_be_excluded(client, probabilities):
    picked = select(client, probabilities, exclude=np.ones(ROWS, bool))
    assert (len(picked), picked.exhausted, picked.row_count) == (0, True, ROWS)


def test_a_large_exclusion_is_streamed_in_blocks(client):
    pool = np.full((400_000, 1), 1.0, np.float16)
    picked = client.select(pool, strategy="gini", budget=3, exclude=range(0, 400_000, 2))
    assert picked.indices.tolist() == [1, 3, 5]


@pytest.mark.parametrize(
    ("says", "options"),
    [
        ("ids: found 3; the pool has 1000 rows", {"ids": "abc"}),
        ("ids", {"ids": 7}),
        ("exclude: found 'nobody'", {"ids": NAMES, "exclude": ["nobody"]}),
        ("ids: are not unique", {"ids": ["same"] * ROWS, "exclude": ["same"]}),
        ("exclude: .*'item-003'.* more than once", {"ids": NAMES, "exclude": ["item-003"] * 2}),
        ("exclude: found 10; the pool has 1000 rows", {"exclude": [True] * 10}),
        ("exclude: found 1001; the pool has 1000", {"exclude": np.zeros(1001, bool)}),
        ("excluded: found 1000 at position 1; 0 to 999 is right", {"exclude": [1, 1000]}),
        ("excluded: found -1", {"exclude": [-1]}),
        ("excluded: row 4 is named more than once", {"exclude": [4, 2, 4]}),
        ("exclude: found float64; row numbers", {"exclude": [0.5]}),
        ("exclude: found <U1; row numbers", {"exclude": ["a"]}),
        ("exclude", {"exclude": 7}),
        ("exclude", {"exclude": [[1, 2]]}),
        ("ids: cannot be told apart", {"ids": [[1]] * ROWS, "exclude": [[1]]}),
        (r"exclude: found \[1\], which is not among ids", {"ids": NAMES, "exclude": [[1]]}),
        (
            r"exclude: found \(\[1\],\), which is not among ids",
            {"ids": NAMES, "exclude": [([1],)]},
        ),
        ("exclude: found 9223372036854775808", {"exclude": np.array([2**63], np.uint64)}),
    ],
)
def test_ids_and_exclusions_that_do_not_fit_are_refused(server, probabilities, says, options):
    with Client(server.address) as client, pytest.raises(InvalidRequestError, match=says):
        select(client, probabilities, **options)


def test_ids_that_do_not_fit_a_pool_of_unknown_size_are_refused_in_the_end(client, probabilities):
    with pytest.raises(InvalidRequestError, match="ids: found 2; the pool has 1000 rows"):
        select(client, iter([probabilities]), ids=["a", "b"])
