"""What files hold, read anew when they change: certificates and tokens rotate while we serve."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from nextlabel_server.logs import get_logger
from nextlabel_server.stamp import Stamp, stamp_of

T = TypeVar("T")

_READINGS = 5  # of files that keep changing while they are read

log = get_logger("nextlabel")


class FileFault(Exception):
    """A file that the settings name cannot be used; the text is for the operator."""


class Reloaded(Generic[T]):
    """A value read from files. Nothing watches them: whoever asks for the value looks.

    Files may be written in place, renamed over, or reached by a link that is switched, as
    Kubernetes does with secrets. What cannot be used is logged once, as an error, and what was
    read before stays.

    Args:
        what: names the value in the log.
        paths: the files.
        read: reads them; raises FileFault.

    Raises:
        FileFault: they cannot be used to begin with.
    """

    def __init__(self, what: str, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._paths = paths
        self._what = what
        self._read = read
        self._reading = threading.Lock()
        self._load()

    def get(self) -> T:
        """The value in the files now, or when they could last be used."""
        with self._reading:
            if self._state() != self._seen:
                try:
                    self._load()
                except FileFault as error:
                    log.error(f"{self._what} cannot be used, the old ones stay", error=str(error))
            return self._value

    def _load(self) -> None:
        """Reads until nothing changed meanwhile, lest a key meet the certificate of another."""
        for _ in range(_READINGS):
            self._seen = self._state()
            fault = None
            try:
                value = self._read()
            except FileFault as error:
                fault = error
            if self._state() == self._seen:
                break
        if fault is not None:
            raise fault
        self._value = value

    def _state(self) -> list[Stamp]:
        """Differs when any of the files does."""
        return [stamp_of(path) for path in self._paths]
