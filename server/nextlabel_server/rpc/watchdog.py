"""Ending what takes too long where gRPC itself would wait without a limit."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

TICK_SECONDS = 0.05


@dataclass(slots=True, eq=False)
class Limit:
    """Until when a block may take, what ends it, and whether it was ended."""

    until: float
    end: Callable[[], object]
    passed: bool = False


class Watchdog:
    """Watches any number of calls with one thread, until it is closed."""

    def __init__(self) -> None:
        self._watched: set[Limit] = set()
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextmanager
    def limit(self, seconds: float, end: Callable[[], object]) -> Iterator[Limit]:
        """Calls `end`, perhaps repeatedly, when the block takes longer."""
        limit = self.begin(seconds, end)
        try:
            yield limit
        finally:
            self.finish(limit)

    def begin(self, seconds: float, end: Callable[[], object]) -> Limit:
        """Calls `end`, perhaps repeatedly, once that long has passed and it is not finished."""
        limit = Limit(time.monotonic() + seconds, end)
        self._watched.add(limit)
        return limit

    def finish(self, limit: Limit) -> None:
        self._watched.discard(limit)

    def close(self) -> None:
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(TICK_SECONDS):
            now = time.monotonic()
            for limit in list(self._watched):
                if limit.until < now:
                    limit.passed = True
                    limit.end()
