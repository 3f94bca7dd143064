"""Every form in which a file holds probabilities."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import POOL


def indices(picks):
    return [int(pick["index"]) for pick in picks]


def ids(picks):
    return [pick["id"] for pick in picks]


def test_npy_is_a_matrix(select, pool):
    picks = select(pool)
    assert indices(picks) == [1, 3, 2, 0]
    assert [float(pick["score"]) for pick in picks] == [1, 0.75, 0.5, 0.25]
    assert [float(pick["priority"]) for pick in picks] == [1, 0.75, 0.5, 0.25]
    assert [int(pick["rank"]) for pick in picks] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (np.array(["a", "b", "c", "d"]), ["b", "d", "c", "a"]),
        (np.array([b"a", b"b", b"c", b"d"]), ["b", "d", "c", "a"]),
        (np.array([10, 20, 30, 40]), ["20", "40", "30", "10"]),
    ],
    ids=["text", "bytes", "numbers"],
)
def test_npz_holds_probabilities_and_ids(select, tmp_path, own, expected):
    np.savez(tmp_path / "pool.npz", probabilities=POOL, ids=own)
    assert ids(select(tmp_path / "pool.npz")) == expected


def test_npz_holds_a_cost_matrix(address, tmp_path):
    from tests.cli import command

    # Cost of the cheaper decision: min(p1 · 8, p0 · 1) = 0.875, 0.5, 0.75, 0.625.
    np.savez(tmp_path / "pool.npz", probabilities=POOL, cost_matrix=[[0, 1], [8, 0]])
    arguments = ("--strategy=expected_cost", "--budget=4", f"--server={address}")
    result = command.here("select", tmp_path / "pool.npz", *arguments)
    assert indices(command.rows_of(result.stdout)) == [0, 2, 3, 1]


def test_npz_holds_embeddings_and_what_is_labeled(address, tmp_path):
    from tests.cli import command

    # Rows 0, 4 and 9 on a line, 0 of them labeled: 9 is farthest, then 4 from both.
    np.savez(tmp_path / "pool.npz", embeddings=[[4.0], [9.0]], labeled_embeddings=[[0.0]])
    arguments = ("--strategy=k_center", "--budget=2", f"--server={address}")
    picks = command.rows_of(command.here("select", tmp_path / "pool.npz", *arguments).stdout)
    assert indices(picks) == [1, 0]
    assert [float(pick["score"]) for pick in picks] == [9, 4]


def test_csv_has_columns_in_order_and_ids_as_they_are_written(select, text_pool):
    picks = select(text_pool)
    assert indices(picks) == [1, 3, 2, 0]
    assert ids(picks) == ["b", "d", "c", "007"]


def test_csv_may_have_its_ids_in_any_column(select, tmp_path):
    path = tmp_path / "pool.csv"
    path.write_text("no,yes,url\n0.875,0.125,x\n0.5,0.5,y\n")
    assert ids(select(path, "--id-column=url")) == ["y", "x"]


def test_csv_may_start_with_whole_numbers_and_go_on_with_fractions(select, tmp_path):
    # The first megabyte, from which types are guessed, has nothing but 0 and 1.
    path = tmp_path / "pool.csv"
    path.write_text("0,1\n" + "1,0\n" * 300_000 + "0.5,0.5\n0.75,0.25\n")
    assert indices(select(path, budget=2)) == [300_000, 300_001]


def test_csv_that_takes_many_blocks_ranks_like_numpy(select, tmp_path, probabilities):
    rows = np.tile(probabilities, (40, 1)) + 0.0
    np.savetxt(tmp_path / "pool.csv", rows, delimiter=",", header="a,b,c,d,e", comments="")
    top = np.sort(rows, axis=1)[:, ::-1]
    expected = np.argsort(-(1 - (top[:, 0] - top[:, 1])), kind="stable")
    assert indices(select(tmp_path / "pool.csv", budget=500)) == expected[:500].tolist()


def test_csv_without_rows_gives_no_picks(select, tmp_path):
    (tmp_path / "pool.csv").write_text("no,yes\n")
    assert select(tmp_path / "pool.csv") == []


def test_parquet_has_columns_in_order_and_ids(select, tmp_path):
    table = pa.table({"no": POOL[:, 0], "id": [10, 20, 30, 40], "yes": POOL[:, 1]})
    pq.write_table(table, tmp_path / "pool.parquet", row_group_size=3)
    picks = select(tmp_path / "pool.parquet")
    assert indices(picks) == [1, 3, 2, 0]
    assert ids(picks) == ["20", "40", "30", "10"]


def test_parquet_ids_may_be_a_categorical(select, tmp_path):
    own = pa.array(["a", "b", "a", "d"]).dictionary_encode()
    table = pa.table({"no": POOL[:, 0], "yes": POOL[:, 1], "id": own})
    pq.write_table(table, tmp_path / "pool.parquet")
    assert ids(select(tmp_path / "pool.parquet")) == ["b", "d", "a", "a"]


def test_parquet_may_have_one_column_of_lists(select, tmp_path):
    pq.write_table(pa.table({"p": POOL.tolist()}), tmp_path / "pool.parquet")
    assert indices(select(tmp_path / "pool.parquet")) == [1, 3, 2, 0]


def test_excluded_rows_are_named_by_number(select, pool):
    assert indices(select(pool, "--exclude=3,0")) == [1, 2]


def test_excluded_rows_are_named_by_id_where_there_are_ids(select, text_pool):
    assert ids(select(text_pool, "--exclude=b, 007")) == ["d", "c"]


def test_excluded_rows_are_named_by_whole_numbers_where_ids_are(select, tmp_path):
    np.savez(tmp_path / "pool.npz", probabilities=POOL, ids=[10, 20, 30, 40])
    assert ids(select(tmp_path / "pool.npz", "--exclude=20")) == ["40", "30", "10"]


def test_excluded_rows_come_from_a_file_with_one_a_line(select, text_pool, tmp_path):
    (tmp_path / "done.txt").write_text("b\n\nd\n")
    assert ids(select(text_pool, "--exclude", tmp_path / "done.txt")) == ["c", "007"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("pool.csv", "a,word\n0.5,x\n", "word: is a column of text (string); numbers are right"),
        ("pool.csv", "a,b\n" + "0.5,0.5\n" * 300_000 + "0.5,x\n", "column 'b'"),
        ("pool.csv", "0.5,0.5\n0.25,0.75\n", "has numbers in its first line"),
        ("pool.csv", "a,a\n0.5,0.5\n", "has several columns named 'a'"),
        ("pool.csv", "id\n1\n", "has no columns beside the ids"),
        ("pool.csv", "a,b\n0.5\n", "Expected 2 columns, got 1"),
        ("pool.csv", "a,b\n0.5,0.5\n0.5,\n", "row 1"),
        ("pool.csv", "", "Empty CSV file"),
        ("pool.parquet", "", "pool.parquet: cannot be read"),
        ("pool.npy", "", "pool.npy cannot be read"),
        ("pool.npy", "no array", "pool.npy cannot be read"),
        ("pool.npz", "no archive", "pool.npz: cannot be read"),
        ("pool.txt", "0.5 0.5", "pool.txt: is none of .npy, .npz, .csv, .parquet"),
    ],
)
def test_a_file_that_is_no_pool_is_refused(refused, tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    assert words in refused(tmp_path / name)


def test_an_archive_without_probabilities_is_refused_with_what_it_has(refused, tmp_path):
    np.savez(tmp_path / "pool.npz", probs=POOL, labels=[0, 1])
    said = refused(tmp_path / "pool.npz")
    assert "has no array named 'probabilities'; it has probs, labels" in said


@pytest.mark.parametrize("name", ["costs", "groups", "excluded"])
def test_an_array_that_would_change_nothing_is_refused(refused, tmp_path, name):
    np.savez(tmp_path / "pool.npz", probabilities=POOL, **{name: np.arange(1, 5)})
    assert f"has an array named {name!r}; " in refused(tmp_path / "pool.npz")


def test_ids_of_another_length_are_refused(refused, tmp_path):
    np.savez(tmp_path / "pool.npz", probabilities=POOL, ids=[1, 2])
    assert "ids: found 2; the pool has 4 rows" in refused(tmp_path / "pool.npz")


def test_an_id_column_that_is_missing_is_refused_with_what_there_is(refused, text_pool):
    said = refused(text_pool, "--id-column=url")
    assert "has no column 'url'; there is id, no, yes" in said


def test_an_id_column_of_an_array_is_refused(refused, pool):
    assert "--id-column: " in refused(pool, "--id-column=url")


def test_excluding_what_is_no_row_number_is_refused(refused, pool):
    said = refused(pool, "--exclude=1,done.txt")
    assert "'--exclude': found 'done.txt', which is no file either; row numbers" in said


def test_excluding_an_id_that_is_not_there_is_refused(refused, text_pool):
    assert "exclude: found 'z', which is not among ids" in refused(text_pool, "--exclude=z")
