"""Stopping work that nobody waits for any more."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nextlabel_server.errors import Cancelled


class CancelToken:
    """Set once, from any thread; looked at between blocks, batches and greedy steps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._next_key = 0

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """Marks the token and runs what `on_cancel` registered; later calls do nothing."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Raises Cancelled once the token has been cancelled."""
        if self._cancelled:
            raise Cancelled

    @contextmanager
    def on_cancel(self, callback: Callable[[], object]) -> Iterator[None]:
        """Runs `callback` if the token is cancelled inside the block (or was before it)."""
        with self._lock:
            key = self._next_key
            self._next_key += 1
            self._callbacks[key] = callback
            already = self._cancelled
        if already:
            callback()
        try:
            yield
        finally:
            with self._lock:
                del self._callbacks[key]
