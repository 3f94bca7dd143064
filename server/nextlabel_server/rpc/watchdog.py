"""Ending what takes too long where gRPC itself would wait without a limit."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TICK_SECONDS = 0.05


class Watchdog:
    """Watches any number of calls with one thread, until it is closed."""

    def __init__(self) -> None:
        self._watched: dict[object, tuple[float, Callable[[], object]]] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextmanager
    def limit(self, seconds: float, end: Callable[[], object]) -> Iterator[None]:
        """Calls `end`, perhaps repeatedly, when the block takes longer."""
        key = object()
        self._watched[key] = (time.monotonic() + seconds, end)
        try:
            yield
        finally:
            del self._watched[key]

    def close(self) -> None:
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(TICK_SECONDS):
            now = time.monotonic()
            for when, end in list(self._watched.values()):
                if when < now:
                    end()
