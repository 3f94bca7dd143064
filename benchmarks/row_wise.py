"""Row-wise strategies over loopback, against the bytes alone and against modAL in-process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import grpc
import numpy as np
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling

from benchmarks import floor, processes
from nextlabel import Client

TITLE = "Row-wise strategies"
ABOUT = """\
*Bytes alone* is a bare gRPC stream of the same bytes, with nothing done to them at either end: no
service that receives the pool can be faster. *modAL* runs in the caller's own process, where the
probabilities are at hand without any transport."""
COLUMNS = (
    "work",
    "nextlabel",
    "bytes alone",
    "ratio",
    "modAL, in-process",
    "times as fast as modAL",
)

ROUNDS = 15
BLOCK_BYTES = 1 << 20
PEERS = {
    "entropy": entropy_sampling,
    "margin": margin_sampling,
    "least_confidence": uncertainty_sampling,
}


@dataclass(frozen=True)
class Result:
    """Median seconds of one piece of work, done three ways in turn."""

    work: str
    ours: float
    floor: float
    peer: float


class _Probabilities:
    """What modAL calls a classifier: here the probabilities are known already."""

    def predict_proba(self, pool: np.ndarray) -> np.ndarray:
        return pool


def rows() -> Iterator[tuple[str, ...]]:
    """A row of the table for each result."""
    for result in million_rows():
        yield (
            result.work,
            f"{result.ours * 1e3:.0f} ms",
            f"{result.floor * 1e3:.0f} ms",
            f"{result.ours / result.floor:.2f}",
            f"{result.peer * 1e3:.0f} ms",
            f"{result.peer / result.ours:.1f}",
        )


def million_rows() -> Iterator[Result]:
    """1M x 10 float32, top 100, by each strategy that modAL has too."""
    rng = np.random.default_rng(0)
    pool = rng.dirichlet(np.ones(10), size=1_000_000).astype(np.float32)
    rows = BLOCK_BYTES // pool[0].nbytes
    blocks = [pool[i : i + rows].tobytes() for i in range(0, len(pool), rows)]
    with (
        processes.floor() as sink,
        processes.nextlabel() as address,
        grpc.insecure_channel(sink) as channel,
        Client(address) as client,
    ):
        for strategy, peer in PEERS.items():

            def ours(strategy: str = strategy) -> np.ndarray:
                picked = client.select(probabilities=pool, strategy=strategy, budget=100)
                return picked.indices

            def theirs(peer: Callable[..., tuple[np.ndarray, np.ndarray]] = peer) -> np.ndarray:
                return peer(_Probabilities(), pool, n_instances=100)[0]

            _check_same(strategy, ours(), theirs())
            seconds = _in_turn([ours, lambda: floor.send(channel, blocks), theirs])
            yield Result(f"1M x 10 float32, {strategy}, top 100", *seconds)


def _in_turn(ways: list[Callable[[], object]]) -> list[float]:
    """Median seconds of each way; the ways take turns, so that all see the same machine."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, own in zip(ways, times, strict=True):
            start = perf_counter()
            way()
            own.append(perf_counter() - start)
    return [median(own) for own in times]


def _check_same(strategy: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """modAL returns the picks in no order, and its float32 scores may swap the last of them."""
    shared = len(np.intersect1d(ours, theirs))
    if shared < 0.99 * len(ours):
        raise SystemExit(f"{strategy}: only {shared} of {len(ours)} picks agree with modAL's")
