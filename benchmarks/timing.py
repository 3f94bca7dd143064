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
    """Median of the seconds that each way says it took; they take turns to see the same machine."""
    times = [[way() for way in ways] for _ in range(rounds)]
    return [median(own) for own in zip(*times, strict=True)]
