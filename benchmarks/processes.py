"""Servers in processes of their own, as users run them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def floor() -> Iterator[str]:
    """The address of a bare byte stream's server."""
    with _bare("benchmarks.floor") as address:
        yield address


@contextmanager
def echo() -> Iterator[str]:
    """The address of a server that answers small calls without any work."""
    with _bare("benchmarks.echo") as address:
        yield address


@contextmanager
def nextlabel(*options: str) -> Iterator[str]:
    """The address of a nextlabel server."""
    with served(*options) as (serving, _):
        yield serving["address"]


@contextmanager
def served(*options: str) -> Iterator[tuple[dict[str, str], int]]:
    """What a nextlabel server logs when it serves, its addresses; and its process id."""
    command = [sys.executable, "-m", "nextlabel", "serve", "--address", "127.0.0.1:0", *options]
    with _process(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("{") and json.loads(line).get("event") == "serving":
                break
        # The log goes on; something has to read it.
        reader = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        try:
            yield json.loads(line), process.pid
        finally:
            reader.terminate()
            reader.wait()


@contextmanager
def _bare(module: str) -> Iterator[str]:
    with _process([sys.executable, "-m", module], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"


@contextmanager
def _process(command: list[str], **streams: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, text=True, **streams)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
