"""The memory of a server at work: what it takes, and what it has reserved."""

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

_EVERY = 0.05  # seconds
_GAUGE = re.compile(r"^nextlabel_reserved_bytes (\S+)$", re.MULTILINE)


class Watch:
    """Bytes of a server: `idle` before some work, the `peak` in it, the most it `reserved`."""

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        (self._process / "clear_refs").write_text("5")  # the peak starts anew
        self.idle = self._kib("VmRSS") << 10
        self.reserved = 0.0

    @property
    def peak(self) -> int:
        """Above what it was when idle."""
        return (self._kib("VmHWM") << 10) - self.idle

    def _kib(self, name: str) -> int:
        status = (self._process / "status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1])


@contextmanager
def watching(pid: int, metrics_address: str) -> Iterator[Watch]:
    """Watches a server while the block runs."""
    watch, over = Watch(pid), Event()

    def look() -> None:
        while not over.wait(_EVERY):
            with urllib.request.urlopen(f"http://{metrics_address}/metrics") as page:
                found = _GAUGE.search(page.read().decode())
            assert found is not None
            watch.reserved = max(watch.reserved, float(found[1]))

    thread = Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
