"""Timing ways of doing the same work against each other."""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter


def seconds(work: Callable[[], object]) -> float:
    """How long it takes once."""
    start = perf_counter()
    work()
    return perf_counter() - start


def in_turn(ways: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """Median of the seconds that each way says it took.

    They take turns to see the same machine, forth and back, as what comes after a way that takes
    long finds caches and processors cold.
    """
    times: list[list[float]] = [[] for _ in ways]
    order = list(zip(ways, times, strict=True))
    for _ in range(rounds):
        for way, own in order:
            own.append(way())
        order.reverse()
    return [median(own) for own in times]
