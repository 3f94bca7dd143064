"""Running the command: as a process, or in this one where a process would prove no more."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from nextlabel.cli import commands

COMMAND = (sys.executable, "-m", "nextlabel")
SECONDS = 60


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    """Runs the command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=_environment(environment),
    )


def here(*arguments: object, **environment: str) -> Result:
    """Runs the command in this process."""
    return CliRunner().invoke(commands, [*map(str, arguments)], env=environment, prog_name="n")


@contextmanager
def started(*arguments: object, **environment: str) -> Iterator[subprocess.Popen]:
    """The command as a process that runs on; killed if the block leaves it so."""
    running = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(environment),
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


def address_of(server: subprocess.Popen) -> str:
    """Where `nextlabel serve` says that it listens."""
    lines = []
    for line in server.stderr:
        if '"event": "serving"' in line:
            return json.loads(line)["address"]
        lines.append(line)
    raise AssertionError("it ended before it served:\n" + "".join(lines))


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def one_line(text: str) -> str:
    """Text without the places where it was wrapped."""
    return " ".join(text.split())


def _environment(changes: dict[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("NEXTLABEL_")}
    return {**kept, **changes}
