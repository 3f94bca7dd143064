"""Row-wise strategies over loopback, against the bytes alone and against libraries in-process."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import grpc
import numpy as np
import numpy.typing as npt
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
from skactiveml.pool import uncertainty_scores
from skactiveml.utils import simple_batch

from benchmarks import floor, processes
from benchmarks.timing import in_turn, seconds
from nextlabel import Client

TITLE = "Row-wise strategies"
ABOUT = """\
The 100 best rows. *Bytes alone* is a bare gRPC stream of the same bytes, with nothing done to them
at either end: no service that receives the pool can be faster. *modAL* and *scikit-activeml* run in
the caller's own process, where the probabilities are at hand without any transport."""
COLUMNS = (
    "work",
    "nextlabel",
    "bytes alone",
    "ratio",
    "to reach",
    "times as fast as modAL",
    "times as fast as scikit-activeml",
)

BLOCK_BYTES = 1 << 20
BUDGET = 100
MODAL = {
    "least_confidence": uncertainty_sampling,
    "margin": margin_sampling,
    "entropy": entropy_sampling,
}
SCIKIT_ACTIVEML = {
    "least_confidence": "least_confident",
    "margin": "margin_sampling",
    "entropy": "entropy",
}


@dataclass(frozen=True)
class Work:
    """A pool, what is to be done with it, and at most how many times the bytes' time to reach."""

    rows: int
    classes: int
    dtype: str
    targets: dict[str, float]
    rounds: int


WORKS = (
    Work(1_000_000, 10, "float32", {"least_confidence": 1.3, "margin": 1.3, "entropy": 1.5}, 15),
    Work(100_000, 1000, "float32", {"least_confidence": 1.4, "margin": 1.4, "entropy": 1.4}, 7),
    Work(10_000_000, 10, "float32", {"entropy": 1.5}, 5),
)


class _Probabilities:
    """What modAL calls a classifier: here the probabilities are known already."""

    def predict_proba(self, pool: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        return pool


def rows() -> Iterator[tuple[str, ...]]:
    """A row of the table for each pool and strategy."""
    for work in WORKS:
        pool = _pool(work)
        step = BLOCK_BYTES // pool[0].nbytes
        blocks = [pool[i : i + step].tobytes() for i in range(0, len(pool), step)]
        with (
            processes.floor() as sink,
            processes.nextlabel() as address,
            grpc.insecure_channel(sink) as channel,
            Client(address, timeout=120) as client,
        ):
            for strategy, target in work.targets.items():
                ways = (
                    partial(_ours, client, strategy, pool),
                    partial(floor.send, channel, blocks),
                    partial(_modal, strategy, pool),
                    partial(_scikit_activeml, strategy, pool),
                )
                _check_same(strategy, ways[0](), ways[2](), ways[3]())
                timed = [partial(seconds, way) for way in ways]
                own, bare, modal, scikit = in_turn(timed, work.rounds)
                yield (
                    f"{work.rows:,} x {work.classes} {work.dtype}, {strategy}",
                    f"{own * 1e3:.0f} ms",
                    f"{bare * 1e3:.0f} ms",
                    f"{own / bare:.2f}",
                    f"at most {target}",
                    f"{modal / own:.1f}",
                    f"{scikit / own:.1f}",
                )


def _pool(work: Work) -> npt.NDArray[np.floating]:
    """Rows drawn evenly from all probability vectors."""
    rng = np.random.default_rng(0)
    pool = rng.standard_exponential((work.rows, work.classes), dtype=np.float32)
    pool /= pool.sum(axis=1, keepdims=True)
    return pool.astype(work.dtype, copy=False)


def _ours(client: Client, strategy: str, pool: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    return client.select(probabilities=pool, strategy=strategy, budget=BUDGET).indices


def _modal(strategy: str, pool: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    picked: npt.NDArray[np.int64] = MODAL[strategy](_Probabilities(), pool, n_instances=BUDGET)[0]
    return picked


def _scikit_activeml(strategy: str, pool: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    scores = uncertainty_scores(pool, method=SCIKIT_ACTIVEML[strategy])
    picked: npt.NDArray[np.int64] = simple_batch(scores, random_state=0, batch_size=BUDGET)
    return picked


def _check_same(strategy: str, ours: npt.NDArray[np.int64], *others: npt.NDArray[np.int64]) -> None:
    """The libraries' scores in float32 may swap the last of the picks."""
    for theirs in others:
        shared = len(np.intersect1d(ours, theirs))
        if shared < 0.95 * len(ours):
            raise SystemExit(f"{strategy}: only {shared} of {len(ours)} picks agree")
