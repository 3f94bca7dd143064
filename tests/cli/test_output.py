"""What is written, and where."""

import json
import os
import pty
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.cli import command

SPEC = ("--strategy=margin", "--budget=2", "--seed=7")
PICKS = [
    {"rank": 1, "index": 1, "id": "b", "score": 1.0, "priority": 1.0},
    {"rank": 2, "index": 3, "id": "d", "score": 0.75, "priority": 0.5},
]


@pytest.fixture
def run(address, text_pool):
    def select(*arguments):
        return command.here("select", text_pool, *SPEC, f"--server={address}", *arguments)

    return select


def test_csv_goes_to_standard_output_and_the_summary_beside_it(run):
    result = run()
    assert result.stdout == "rank,index,id,score,priority\n1,1,b,1.0,1.0\n2,3,d,0.75,0.5\n"
    assert result.stderr.startswith("2 of 4 rows by margin, seed 7, ")


def test_the_summary_says_when_there_was_less_than_the_budget(run):
    assert "the budget asked for more than there is to pick" in run("--budget=9").stderr


def test_json_goes_to_standard_output(run):
    answer = json.loads(run("--format=json").stdout)
    assert answer["picks"] == PICKS
    assert (answer["strategy"], answer["seed"], answer["row_count"]) == ("margin", 7, 4)


def test_a_table_goes_to_standard_output(run):
    lines = run("--format=table").stdout.splitlines()
    assert [cell.strip() for cell in lines[1].strip("┃").split("┃")] == list(PICKS[0])
    assert [cell.strip() for cell in lines[3].strip("│").split("│")] == ["1", "1", "b", "1", "1"]


def test_the_share_that_each_pick_stands_for_is_a_column_on_request(address, tmp_path):
    x = np.float32([[0], [1], [2], [100]])
    np.savez(tmp_path / "pool.npz", embeddings=x)
    options = ["--strategy=k_center", "--budget=2", f"--server={address}"]
    shown = command.here("select", tmp_path / "pool.npz", *options, "--shares").stdout
    # The mean is 25.75, so row 2 is first.
    assert shown == "rank,index,score,priority,share\n1,2,23.75,1.0,0.75\n2,3,98.0,0.5,0.25\n"


def test_the_suffix_of_the_output_says_its_format(run, tmp_path):
    for suffix in ("csv", "json", "parquet"):
        result = run("--output", tmp_path / f"picks.{suffix}")
        assert result.exit_code == 0
        assert not result.stdout
    assert (tmp_path / "picks.csv").read_text() == run().stdout
    assert json.loads((tmp_path / "picks.json").read_text())["picks"] == PICKS
    assert pq.read_table(tmp_path / "picks.parquet").to_pylist() == PICKS


def test_scores_keep_all_their_digits(select, tmp_path):
    (tmp_path / "pool.csv").write_text("a,b\n0.1,0.9\n0.3,0.7\n")
    scores = [float(pick["score"]) for pick in select(tmp_path / "pool.csv")]
    assert scores == [1 - (0.7 - 0.3), 1 - (0.9 - 0.1)]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("picks.xlsx", "does not end in .csv, .json or .parquet"),
        ("nowhere/picks.csv", "not a file in a directory that exists"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(pool, output, words):
    # Nothing listens at this address: it is not even asked.
    result = command.here("select", pool, *SPEC, "--server=127.0.0.1:1", "--output", output)
    assert result.exit_code == 2
    assert words in command.one_line(result.stderr)


def test_a_format_for_a_file_is_refused(run, tmp_path):
    assert run("--format=csv", "--output", tmp_path / "picks.csv").exit_code == 2


def test_a_reader_that_stops_early_is_no_error_to_speak_of(address, pool):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*command.COMMAND, "select", pool, *SPEC, f"--server={address}"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=command.SECONDS,
    )
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_full_disk_is_told_without_a_traceback(address, pool):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command.COMMAND, "select", pool, *SPEC, f"--server={address}"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=command.SECONDS,
        )
    assert done.returncode != 0
    assert "Error: [Errno 28] No space left on device" in done.stderr


def test_a_terminal_gets_a_table_and_a_progress_bar(address, pool):
    terminal, end = pty.openpty()
    done = subprocess.Popen(
        [*command.COMMAND, "select", pool, *SPEC, f"--server={address}"],
        stdout=end,
        stderr=end,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(end)
    shown = b""
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:  # Linux tells the end of a terminal so
        pass
    os.close(terminal)
    assert done.wait(command.SECONDS) == 0
    assert "rows scored" in shown.decode()
    assert "│    1 │     1 │     1 │        1 │" in shown.decode()
