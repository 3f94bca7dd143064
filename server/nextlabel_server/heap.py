"""Memory given back to the system when calls end.

The C library's allocator keeps what it once got: a pool for each of many threads, and whatever
lies below a block that is still in use. A server that was busy once would stay as large for ever.
"""

import ctypes
import gc
import resource
import threading
from collections.abc import Callable
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_KEPT_BYTES = 32 << 20  # between calls: a page that is given back and taken again has to be cleared
_APART_BYTES = 4 << 20  # larger arrays are mapped, and unmapped, each by itself
_ARENAS = 2
_LOOK_SECONDS = 0.5
_QUIET_SECONDS = 5.0  # without a call, after which all is given back

_libc = ctypes.CDLL(None)


class Heap:
    """The process's memory, trimmed when calls have left much of it and when none comes any more.

    Does nothing without glibc.
    """

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
        kept = _resident_bytes()
        while self._ended.wait() and not self._closed.is_set():
            quiet = False
            while not quiet and not self._closed.wait(_LOOK_SECONDS):
                self._ended.clear()
                gc.collect()  # the frames of calls that failed, with the blocks in them
                quiet = not self._ended.wait(_QUIET_SECONDS)
                if quiet or _resident_bytes() > kept + _KEPT_BYTES:
                    _libc.malloc_trim(0)
                    kept = _resident_bytes()


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
