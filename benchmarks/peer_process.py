"""Other libraries, at work in a process and an environment of their own."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Threads that wait for each other let others work: where other processes are busy too, libraries
# with OpenMP take ten times as long otherwise, which would be no merit of ours.
PATIENT = {"OMP_WAIT_POLICY": "passive"}
PYTHON = Path(__file__).parent.parent / ".venv-peers" / "bin" / "python"


class Peers:
    """Talks to `benchmarks.peers`. `make .venv-peers/.installed` makes its environment."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def ready(self, name: str, arrays: dict[str, Any]) -> tuple[str, bool]:
        """Gets a way ready; the version of its library and True, or why not and False."""
        answer: tuple[str, bool] = self._ask((name, arrays))
        return answer

    def work(self) -> tuple[float, Any]:
        """Does what was made ready last: the seconds it took, and what came out."""
        answer: tuple[float, Any] = self._ask(None)
        return answer

    def _ask(self, request: object) -> Any:  # noqa: ANN401 - whatever libraries return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(request, self._process.stdin, protocol=5)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)


@contextmanager
def peers() -> Iterator[Peers]:
    """The libraries, or only what is installed here where they have no environment."""
    python = PYTHON if PYTHON.exists() else Path(sys.executable)
    command = [str(python), "-m", "benchmarks.peers"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | PATIENT,
    )
    try:
        yield Peers(process)
    finally:
        process.kill()
        process.wait()
