"""Every form in which a pool may come gives the answer of the plain array."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nextlabel import Client, InvalidRequestError
from nextlabel._sources import source_of
from tests.client import oracle


class Batches:
    """Batches of odd sizes that can be read again and again."""

    def __init__(self, rows, sizes=(1, 333, 7, 0, 500)):
        self._parts = np.split(rows, np.cumsum(sizes))

    def __iter__(self):
        return iter(self._parts)


class OnlyDlpack:
    """An array of another library, which hands its memory over by DLPack alone."""

    def __init__(self, rows):
        self._rows = rows

    def __dlpack__(self, **options):
        return self._rows.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._rows.__dlpack_device__()


class OnlyArray:
    def __init__(self, rows):
        self._rows = rows

    def __array__(self, dtype=None, copy=None):
        return self._rows.astype(dtype) if dtype else self._rows


class Once:
    """A stream of batches that goes on where the last reading of it stopped."""

    def __init__(self, rows):
        self._schema = table(rows).schema
        self._batches = iter(table(rows).to_batches(99))

    def __arrow_c_stream__(self, requested_schema=None):
        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches)
        return reader.__arrow_c_stream__(requested_schema)


class Counted(Once):
    """Such a stream, whose rows are known beforehand."""

    def __init__(self, rows):
        super().__init__(rows)
        self._count = len(rows)

    def __len__(self):
        return self._count


def frame(rows):
    return pd.DataFrame(rows, columns=[f"class {c}" for c in range(rows.shape[1])])


def table(rows):
    return pa.table({f"class {c}": column for c, column in enumerate(rows.T)})


def column_of_lists(rows, kind):
    return pa.table({"probabilities": pa.array(rows.tolist(), kind)})


FORMS = {
    "list": lambda rows: rows.tolist(),
    "tuple of tuples": lambda rows: tuple(map(tuple, rows.tolist())),
    "column-major": np.asfortranarray,
    "every second of twice as many": lambda rows: np.repeat(rows, 2, axis=0)[::2],
    "backwards and back": lambda rows: rows[::-1].copy()[::-1],
    "big-endian": lambda rows: rows.astype(">f8"),
    "DLPack": OnlyDlpack,
    "__array__": OnlyArray,
    "read-only": lambda rows: np.frombuffer(rows.tobytes()).reshape(rows.shape),
    "batches": Batches,
    "generator": lambda rows: iter(Batches(rows)),
    "batches of lists": lambda rows: (part.tolist() for part in np.split(rows, 4)),
    "batches of tables": lambda rows: (frame(part) for part in np.split(rows, 4)),
    "pandas": frame,
    "pandas, shuffled index": lambda rows: frame(rows).set_index(np.arange(len(rows))[::-1] * 3),
    "pandas, text index": lambda rows: frame(rows).set_index(np.arange(len(rows)).astype(str)),
    "polars": lambda rows: pl.DataFrame(rows),
    "pyarrow": table,
    "pyarrow in chunks": lambda rows: pa.concat_tables([table(rows[:3]), table(rows[3:])]),
    "record batch reader": lambda rows: table(rows).to_reader(max_chunksize=99),
    "stream that is read once": Once,
    "stream that is read once, of known length": Counted,
    "lists": lambda rows: column_of_lists(rows, pa.list_(pa.float64())),
    "large lists": lambda rows: column_of_lists(rows, pa.large_list(pa.float64())),
    "fixed lists": lambda rows: column_of_lists(rows, pa.list_(pa.float64(), rows.shape[1])),
    "polars lists": lambda rows: pl.DataFrame({"p": rows.tolist()}),
    "polars arrays": lambda rows: pl.DataFrame({"p": pl.Series(rows, dtype=pl.Array(float, 5))}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.usefixtures("shape_of_call")
def test_every_form_gives_the_same_answer(server, open_client, probabilities, form):
    with open_client(server.address) as client:
        picked = client.select(FORMS[form](probabilities), strategy="margin", budget=20)
    expected = oracle.margin(probabilities)
    assert picked.indices.tolist() == oracle.best(expected, 20)
    np.testing.assert_allclose(picked.scores, expected[picked.indices], rtol=1e-14)
    assert picked.row_count == 1000


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f2", ">f4"])
@pytest.mark.usefixtures("shape_of_call")
def test_scores_are_those_of_float64_on_the_values_as_sent(server, probabilities, kind):
    sent = probabilities.astype(kind)
    with Client(server.address) as client:
        picked = client.select(sent, strategy="entropy", budget=1000)
    expected = oracle.entropy(sent.astype(np.float64))
    np.testing.assert_allclose(picked.scores, expected[picked.indices], rtol=1e-13, atol=1e-15)


def test_one_hot_rows_of_whole_numbers_are_probabilities(server):
    for one_hot in (np.eye(3, dtype=int), np.eye(3, dtype=bool), [[1, 0], [0, 1]]):
        for pool in (one_hot, iter([one_hot])):
            with Client(server.address) as client:
                picked = client.select(pool, strategy="entropy", budget=3)
            assert picked.scores.tolist() == [0.0] * len(one_hot)


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
@pytest.mark.parametrize("form", [str, lambda path: path], ids=["str", "Path"])
def test_a_file_is_a_pool(server, open_client, probabilities, tmp_path, suffix, form):
    path = tmp_path / f"pool{suffix}"
    if suffix == ".npy":
        np.save(path, probabilities)
    else:
        pq.write_table(table(probabilities), path, row_group_size=77)
    with open_client(server.address) as client:
        picked = client.select(form(path), strategy="margin", budget=20)
    assert picked.indices.tolist() == oracle.best(oracle.margin(probabilities), 20)


def test_a_parquet_file_by_pandas_does_not_bring_its_index_along(server, probabilities, tmp_path):
    path = tmp_path / "pool.parquet"
    frame(probabilities).sample(frac=1, random_state=0).to_parquet(path)
    shuffled = frame(probabilities).sample(frac=1, random_state=0).to_numpy()
    with Client(server.address) as client:
        picked = client.select(path, strategy="margin", budget=20)
    assert picked.indices.tolist() == oracle.best(oracle.margin(shuffled), 20)


def test_a_memory_map_is_not_read_into_memory(server, probabilities, tmp_path):
    np.save(tmp_path / "pool.npy", np.tile(probabilities, (40, 1)))
    mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
    with Client(server.address) as client:
        picked = client.select(mapped, strategy="margin", budget=40)
    best = oracle.best(oracle.margin(probabilities), 1)[0]
    assert picked.indices.tolist() == [best + 1000 * copy for copy in range(40)]


@pytest.mark.parametrize(
    "empty", [pa.table({"a": pa.array([], pa.float64()), "b": pa.array([], pa.float64())})]
)
def test_a_table_without_rows_is_an_empty_pool(server, tmp_path, empty):
    pq.write_table(empty, tmp_path / "empty.parquet")
    with Client(server.address) as client:
        for pool in (empty, empty.to_pandas(), tmp_path / "empty.parquet"):
            picked = client.select(pool, strategy="entropy", budget=1)
            assert (len(picked), picked.row_count, picked.exhausted) == (0, 0, True)


def test_a_table_in_memory_can_be_read_again_and_a_stream_cannot(probabilities):
    for pool in (table(probabilities), frame(probabilities), pl.DataFrame(probabilities)):
        source = source_of("pool", pool)
        assert source.repeatable
        for _ in range(3):
            np.testing.assert_array_equal(np.concatenate([*source.batches()]), probabilities)
    for pool in (table(probabilities).to_reader(), Once(probabilities)):
        assert not source_of("pool", pool).repeatable


@pytest.mark.parametrize("error", [RuntimeError, OSError])
def test_a_stream_that_was_read_is_refused_by_name(server, open_client, error):
    class Released:
        def __arrow_c_stream__(self, requested_schema=None):
            raise error("the stream is released")

    says = "probabilities: found Released that is no table: the stream is released"
    with open_client(server.address) as client, pytest.raises(InvalidRequestError, match=says):
        client.select(Released(), strategy="entropy", budget=1)


def test_a_parquet_file_damaged_in_its_middle_is_refused_by_name(
    server, open_client, probabilities, tmp_path
):
    path = tmp_path / "pool.parquet"
    pq.write_table(table(np.tile(probabilities, (40, 1))), path, row_group_size=20_000)
    content = bytearray(path.read_bytes())
    middle = pq.read_metadata(path).row_group(1).column(0).dictionary_page_offset
    content[middle : middle + 50] = bytes([255]) * 50
    path.write_bytes(content)
    with (
        open_client(server.address) as client,
        pytest.raises(InvalidRequestError, match=r"probabilities: .*pool.parquet cannot be read"),
    ):
        client.select(path, strategy="entropy", budget=1)


def test_a_table_declares_its_rows_so_that_ids_are_checked_before_it_is_sent(server):
    unsent = table(np.full((3, 2), np.nan))
    with Client(server.address) as client, pytest.raises(InvalidRequestError, match="ids: found 2"):
        client.select(unsent, strategy="entropy", budget=1, ids=["a", "b"])


@pytest.mark.parametrize(
    ("pool", "says"),
    [
        (pa.table({"a": ["x"]}), "a: .*string"),
        (pa.table({"p": [[0.5, 0.5], [1.0]]}), "p: .*different lengths"),
        (pa.table({"p": [[0.5, 0.5], None]}), "p: has an empty cell"),
        (
            pa.table({"p": pa.array([[0.5, 0.5], None] * 2, pa.list_(pa.float64(), 2))}),
            "p: has an empty cell",
        ),
        (pd.DataFrame({"a": [0.5, "x"]}), "probabilities: found DataFrame that is no table"),
        (pd.DataFrame([[0.5, 0.5]], columns=["a", "a"]), "Duplicate column names"),
        (pd.DataFrame(), r"probabilities: found shape \[0, 0\]; C must be at least 1"),
        (pa.table({"a": [0.5, None], "b": [0.5, 0.5]}), "row 1 has nan in column 0"),
        (pl.DataFrame({"a": [True]}), "a: .*bool"),
        (pl.Series([0.5, 0.5]), r"probabilities: found shape \[2\]; \[N, C\] is right"),
        (pd.Series([0.5, 0.5]), r"probabilities: found shape \[2\]; \[N, C\] is right"),
        (pa.array([0.5, 0.5]), r"probabilities: found shape \[2\]; \[N, C\] is right"),
        ((np.full((1, n), 1 / n) for n in (2, 3)), r"shape \[3\]; the first had \[2\]"),
        (iter([1.0, 2.0]), "single values"),
        (b"\x00", "probabilities"),
    ],
)
def test_a_pool_that_is_none_is_refused_by_name(server, pool, says):
    with Client(server.address) as client, pytest.raises(InvalidRequestError, match=says):
        client.select(pool, strategy="entropy", budget=1)


MASK = [True, False, False, False]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("probabilities", {"probabilities": np.ma.masked_array(np.eye(4), [MASK] * 4)}),
        ("embeddings", {"embeddings": np.ma.masked_array(np.eye(4), [MASK] * 4)}),
        ("costs", {"costs": np.ma.masked_array(np.ones(4), MASK)}),
        ("exclude", {"exclude": np.ma.masked_array(np.arange(4), MASK)}),
        ("ids", {"ids": np.ma.masked_array(np.arange(4), MASK)}),
        ("cost_matrix", {"cost_matrix": np.ma.masked_array(np.eye(4), [MASK] * 4)}),
    ],
)
def test_masked_values_are_refused_by_name(server, open_client, field, options):
    arguments = {"probabilities": np.eye(4), "strategy": "margin", "budget": 1, **options}
    says = f"{field}: found masked values"
    with open_client(server.address) as client, pytest.raises(InvalidRequestError, match=says):
        client.select(**arguments)


@pytest.mark.parametrize("before", [0, 1])
def test_masked_values_in_a_batch_are_refused_by_name(server, open_client, before):
    batches = iter([*[np.eye(4)] * before, np.ma.masked_less(np.eye(4), 1)])
    says = "probabilities: found masked values"
    with open_client(server.address) as client, pytest.raises(InvalidRequestError, match=says):
        client.select(batches, strategy="margin", budget=1)


def test_a_masked_array_without_masked_values_is_an_array(server, open_client, probabilities):
    with open_client(server.address) as client:
        picked = client.select(np.ma.masked_array(probabilities), strategy="margin", budget=20)
    assert picked.indices.tolist() == oracle.best(oracle.margin(probabilities), 20)


def test_columns_may_share_a_name(server, probabilities, tmp_path):
    columns = pa.table([*probabilities.T], names=["p"] * probabilities.shape[1])
    pq.write_table(columns, tmp_path / "pool.parquet")
    best = oracle.best(oracle.margin(probabilities), 5)
    with Client(server.address) as client:
        for pool in (columns, tmp_path / "pool.parquet"):
            picked = client.select(pool, strategy="margin", budget=5)
            assert picked.indices.tolist() == best


def test_a_batch_that_would_lose_digits_in_the_type_of_the_first_is_refused(server, probabilities):
    batches = [probabilities[:5].astype(np.float32), probabilities[5:]]
    with Client(server.address) as client:
        with pytest.raises(InvalidRequestError, match="float64; the first had float32"):
            client.select(iter(batches), strategy="entropy", budget=1)
        picked = client.select(iter(batches[::-1]), strategy="entropy", budget=1)
    assert picked.row_count == 1000


@pytest.mark.usefixtures("shape_of_call")
@pytest.mark.parametrize("error", [KeyError, SystemExit, GeneratorExit])
def test_what_the_callers_batches_raise_is_raised_as_it_is(client, probabilities, error):
    def batches():
        yield probabilities
        raise error("mine")

    with pytest.raises(error, match="mine"):
        client.select(batches(), strategy="entropy", budget=1)
    assert len(client.select(probabilities, strategy="entropy", budget=1)) == 1
