"""Telling whether a file is still the same, without reading it."""

from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, ...] | None


def stamp_of(path: Path) -> Stamp:
    """Differs when links lead to another file, or it has been written to; None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
