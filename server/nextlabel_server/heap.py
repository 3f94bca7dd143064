"""Memory given back to the system when calls end.

The C library's allocator keeps what it once got: a pool for each of many threads, and whatever
lies below a block that is still in use. A server that was busy once would stay as large for ever.
"""

import ctypes
import gc
import threading
from collections.abc import Callable

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_KEPT_BYTES = 64 << 20  # between calls that follow each other, a page taken again is a page cleared
_APART_BYTES = 4 << 20  # larger arrays are mapped, and unmapped, each by itself
_ARENAS = 2
_TRIM_SECONDS = 0.5

_libc = ctypes.CDLL(None)


class Heap:
    """The process's memory, trimmed now and then while calls end; does nothing without glibc."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._closed = threading.Event()
        if hasattr(_libc, "mallopt") and hasattr(_libc, "malloc_trim"):
            _libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
            _libc.mallopt(_M_MMAP_THRESHOLD, _APART_BYTES)
            _libc.mallopt(_M_ARENA_MAX, _ARENAS)
            gc.collect()
            gc.freeze()  # what was imported stays, and looking through it takes a tenth of a second
            threading.Thread(target=self._trim, name="heap", daemon=True).start()

    def observe(self, *_call: object) -> Callable[[], None]:
        """Is told of calls, as their observer."""
        return self._ended.set

    def close(self) -> None:
        self._closed.set()
        self._ended.set()

    def _trim(self) -> None:
        while not self._closed.wait(_TRIM_SECONDS):
            self._ended.wait()
            self._ended.clear()
            gc.collect()  # the frames of calls that failed, with the blocks in them
            _libc.malloc_trim(0)
