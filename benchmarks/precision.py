"""FP16 against FP32: half the bytes, and a conversion."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks import processes
from benchmarks.timing import in_turn, seconds
from nextlabel import Client

TITLE = "FP16 instead of FP32"
ABOUT = "1,000,000 x 10, entropy, the 100 best, sent as each."
COLUMNS = ("float16", "float32", "times as fast", "to reach")
TARGET = 1.5
ROUNDS = 15


def rows() -> Iterator[tuple[str, ...]]:
    single = np.random.default_rng(0).dirichlet(np.ones(10), 1_000_000).astype(np.float32)
    half = single.astype(np.float16)
    with processes.nextlabel() as address, Client(address) as client:
        select = partial(client.select, strategy="entropy", budget=100)
        ways = [partial(seconds, partial(select, probabilities=pool)) for pool in (half, single)]
        for way in ways:
            way()
        fast, slow = in_turn(ways, ROUNDS)
    yield f"{fast * 1e3:.0f} ms", f"{slow * 1e3:.0f} ms", f"{slow / fast:.2f}", f"at least {TARGET}"
