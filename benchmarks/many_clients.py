"""Clients that stream at once: what they get through together, and whether one is starved."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from threading import Barrier

import matplotlib.pyplot as plt
import numpy as np

from benchmarks import processes
from nextlabel import Client

PLOT = Path(__file__).parent.parent / "docs" / "images" / "clients.png"
TITLE = "Clients at once"
ABOUT = """\
400k x 10 float32, entropy, the 100 best, streamed again and again for some seconds by more
and more clients, each a process of its own, on the same processors as the server.

![Throughput against clients](images/clients.png)"""
COLUMNS = (
    "clients",
    "million rows a second, together",
    "of one client's",
    "to reach",
    "fastest against slowest",
    "at most",
)
TARGET = 0.9
MOST_UNEVEN = 2
CLIENTS = (1, 2, 4, 8)
ROWS = 400_000
ROUNDS = 3
SECONDS = 2.0


def rows() -> Iterator[tuple[str, ...]]:
    measured: dict[int, list[list[float]]] = {count: [] for count in CLIENTS}
    with processes.nextlabel() as address:
        for _ in range(ROUNDS):  # numbers of clients take turns: the machine drifts
            for count, found in measured.items():
                found.append(_at_once(address, count))
    totals = {count: median(map(sum, found)) for count, found in measured.items()}
    for count, found in measured.items():
        yield (
            str(count),
            f"{totals[count]:.1f}",
            f"{totals[count] / totals[1]:.2f}",
            f"{TARGET}",
            f"{max(max(each) / min(each) for each in found):.2f}",
            f"{MOST_UNEVEN}",
        )
    _plot(list(totals.values()))


def _at_once(address: str, count: int) -> list[float]:
    """Million rows a second of each of so many clients."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(count, mp_context=context) as pool:
        barrier = manager.Barrier(count)
        running = [pool.submit(_stream, address, barrier) for _ in range(count)]
        return [one.result() for one in running]


def _plot(totals: list[float]) -> None:
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.bar([str(count) for count in CLIENTS], totals)
    axes.set(xlabel="clients that stream at once", ylabel="million rows a second, all together")
    figure.savefig(PLOT, dpi=120)


def _stream(address: str, barrier: Barrier) -> float:
    raw = np.random.default_rng(0).random((ROWS, 10), np.float32)
    pool = raw / raw.sum(axis=1, keepdims=True)
    with Client(address) as client:
        client.select(pool, strategy="entropy", budget=100)
        barrier.wait()
        calls, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            client.select(pool, strategy="entropy", budget=100)
            calls += 1
        return calls * ROWS / 1e6 / (time.perf_counter() - start)
