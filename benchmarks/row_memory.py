"""What a server takes for row-wise calls, however large the pool."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import processes
from benchmarks.memory import Watch
from nextlabel import Client

TITLE = "Memory of row-wise calls"
ABOUT = """\
Entropy on N x 10 float32, the 100 best: how much more resident memory the server has at its peak
than when it was idle."""
COLUMNS = ("N", "asked for", "peak above idle", "at most")
MIB = 1 << 20
BLOCK = 26_214  # rows


def rows() -> Iterator[tuple[str, ...]]:
    for count in (1_000_000, 10_000_000):
        pool = np.random.default_rng(0).standard_exponential((count, 10), dtype=np.float32)
        pool /= pool.sum(axis=1, keepdims=True)
        batches = (pool[start : start + BLOCK] for start in range(0, count, BLOCK))
        allowed = 8 * count / MIB + 64
        for asked_for, arguments in (
            ("the best rows", {"probabilities": pool}),
            ("all scores, too", {"probabilities": pool, "return_all_scores": True}),
            ("the best rows of an iterator", {"probabilities": batches}),
        ):
            peak = _peak_bytes(pool[:1000], arguments) / MIB
            yield f"{count:,}", asked_for, f"{peak:.0f} MiB", f"{allowed:.0f} MiB"


def _peak_bytes(few: np.ndarray, arguments: dict[str, Any]) -> int:
    with processes.served() as (serving, pid), Client(serving["address"], timeout=120) as client:
        client.select(few, strategy="entropy", budget=100)
        watch = Watch(pid)
        client.select(strategy="entropy", budget=100, **arguments)
        return watch.peak
