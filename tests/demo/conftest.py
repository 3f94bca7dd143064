"""One run of the demonstration, small but real."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Run(NamedTuple):
    """What `nextlabel demo` left."""

    output: Path
    stdout: str
    stderr: str

    @property
    def said(self):
        """Standard output as one line, so that it does not matter where it was wrapped."""
        return " ".join(self.stdout.split())

    @property
    def page(self):
        return (self.output / "index.html").read_text(encoding="utf-8")

    def picks(self, strategy):
        """The lines of the CSV file for one strategy."""
        with (self.output / "picks.csv").open(newline="") as file:
            return [line for line in csv.DictReader(file) if line["strategy"] == strategy]


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    output = tmp_path_factory.mktemp("demo") / "output"
    command = [sys.executable, "-W", "error", "-m", "nextlabel", "demo", "--seeds", "1"]
    done = subprocess.run(
        [*command, "--output", str(output)], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    return Run(output, done.stdout, done.stderr)
