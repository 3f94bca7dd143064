"""Servers for tests: one in this process, or one in another process that can be killed."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nextlabel_server import app
from nextlabel_server.rpc.admission import Admission
from nextlabel_server.settings import Settings

START_SECONDS = 30.0


def wait_for(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    """Whether `condition` becomes true in time."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


class ServerProcess:
    """A server in another process; it ends with the `with` block.

    Args:
        settings: fields of Settings; port 0 unless an address is given.
    """

    def __init__(self, **settings: object) -> None:
        settings = {"address": "127.0.0.1:0", "log_format": "json", **settings}
        options = []
        for name, value in settings.items():
            for one in value if isinstance(value, list) else [value]:
                options += [f"--{name.replace('_', '-')}", str(one)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nextlabel", "serve", *options],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        started = wait_for(lambda: self.events("serving") or not self.alive, START_SECONDS)
        if not (started and self.events("serving")):
            self.kill()
            raise RuntimeError("the server did not start:\n" + "".join(self.output))
        self.address: str = self.events("serving")[0]["address"]

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> list[dict]:
        """The structured lines that it wrote."""
        return [json.loads(line) for line in list(self.output) if line.startswith("{")]

    @property
    def memory_bytes(self) -> int:
        """Its resident set."""
        return self._memory("VmRSS")

    @property
    def peak_memory_bytes(self) -> int:
        """The largest that it has been, since the last `forget_peak`."""
        return self._memory("VmHWM")

    def settled_memory_bytes(self) -> int:
        """Its resident set once it has given back what calls left."""
        time.sleep(7)  # longer than it waits for another one
        return self.memory_bytes

    def forget_peak(self) -> None:
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def events(self, name: str) -> list[dict]:
        return [line for line in self.log if line.get("event") == name]

    def calls(self, **fields: object) -> list[dict]:
        """The lines of calls that ended, with these fields."""
        return [line for line in self.events("call") if fields.items() <= line.items()]

    def wait_for_call(self, seconds: float = 5.0, **fields: object) -> dict:
        """The line of a call with these fields, once it has ended."""
        assert wait_for(lambda: self.calls(**fields), seconds), (fields, self.events("call"))
        return self.calls(**fields)[-1]

    def kill(self) -> None:
        """Ends it at once, without a word to anyone."""
        self._process.kill()
        self._finish()

    def terminate(self) -> None:
        """Asks it to drain; returns at once."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 10.0) -> int:
        """Its exit code, once it has ended."""
        code = self._process.wait(seconds)
        self._finish()
        return code

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _memory(self, key: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(f"{key}:"))
        return int(line.split()[1]) * 1024

    def _read(self) -> None:
        for line in self._process.stderr:
            self.output.append(line)

    def _finish(self) -> None:
        self._process.wait()
        self._reader.join()
        self._process.stderr.close()


@contextmanager
def in_process(monkeypatch=None, **settings: object) -> Iterator[app.Server]:
    """A server in this process.

    With `monkeypatch` it has as attributes its `admission`, and all its `admissions`: that one
    and that of small calls.
    """
    made: list[Admission] = []
    if monkeypatch is not None:
        monkeypatch.setattr(
            app, "Admission", lambda *args: made.append(Admission(*args)) or made[-1]
        )
    settings = {"address": "127.0.0.1:0", **settings}
    with app.Server(Settings(**settings)) as server:
        if made:
            server.admission, server.admissions = made[0], made
        yield server
