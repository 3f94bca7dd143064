"""Calls as the client makes them, for every strategy and limit: where the fuzzer starts from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nextlabel import blocks
from nextlabel._base import BaseClient
from nextlabel._request import Request
from nextlabel_server.selection import all_strategies
from tests.inference import graphs
from tests.rpc.tiny_pools import limits, tensors

ROWS = 4


class _Recorder(BaseClient[Request]):
    """A client that keeps what it would send."""

    def _is_end(self, error: BaseException) -> bool:
        return False

    def _connect(self, *_):
        pass

    def _run(self, request, _timeout, _progress):
        return request


def requests() -> Iterator[Request]:
    """What the client makes of calls, the better part of which a server answers."""
    select = _Recorder().select
    for name, strategy in all_strategies().items():
        for options in limits(ROWS):
            yield select(strategy=name, seed=1, **{**tensors(strategy, ROWS, 2), **options})
    p = np.full((ROWS, 3), 1 / 3, np.float16)
    for sampling in ("power", "softmax", "softrank", "epsilon"):
        yield select(iter([p[:1], p[1:]]), strategy="margin", budget=2, sampling=sampling)
    x = np.eye(3, dtype=np.float32)
    yield select(strategy="entropy", budget=1, model="m", inputs={"x": x}, return_all_scores=True)
    yield select(strategy="vote_entropy", budget=1, model=["m", "m"], inputs={"x": x})


def unary() -> Iterator[bytes]:
    """Messages of Select."""
    for request in requests():
        if request.unary:
            yield request.message().SerializeToString(deterministic=True)


def streams() -> Iterator[list[bytes]]:
    """The messages of each stream."""
    for request in requests():
        yield [blocks.encode(message) for message in request.messages()]


def save_model(directory: Path) -> None:
    """The model that some of the calls name: it gives back its input x [N, 3]."""
    graphs.save(directory, "m", graphs.identity())
