"""Memory of servers and clients, against what is promised; `make soak` does it for larger pools."""

import tracemalloc

import numpy as np
import pytest

from nextlabel import Client
from nextlabel_server.selection import Sizes, all_strategies
from tests.load.declared import footprint
from tests.load.mix import Batches
from tests.servers import ServerProcess

WHOLE_POOL = [s for s in all_strategies().values() if s.kind == "whole_pool"]


@pytest.mark.parametrize("strategy", WHOLE_POOL, ids=lambda strategy: strategy.name)
def test_a_whole_pool_strategy_takes_what_it_declares(strategy):
    for sizes in (
        Sizes(N=2000, B=10, M=2, C=3, D=512, L=50),  # long rows
        Sizes(N=6000, B=10, M=2, C=3, D=2, L=50),  # many of them
    ):
        assert footprint(strategy, sizes).share <= 1.2


@pytest.fixture(scope="module")
def rows():
    raw = np.random.default_rng(0).random((1_000_000, 10), np.float32)
    return raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("known", [True, False], ids=["known length", "unknown length"])
def test_a_row_wise_pool_takes_eight_bytes_a_row_and_little_more(rows, known):
    with ServerProcess() as server, Client(server.address) as client:
        client.select(rows[:100_000], strategy="entropy", budget=1)
        idle = server.memory_bytes
        server.forget_peak()
        pool = rows if known else Batches(rows, 26_000)
        client.select(pool, strategy="entropy", budget=100, return_all_scores=True)
        assert server.peak_memory_bytes - idle <= 8 * len(rows) + (64 << 20)


@pytest.mark.parametrize("kind", ["array", "memory map", "batches"])
def test_a_client_does_not_hold_the_pool_a_second_time(rows, kind, tmp_path, server_process):
    np.save(tmp_path / "rows.npy", rows)
    pools = {"array": rows, "memory map": tmp_path / "rows.npy", "batches": Batches(rows, 26_000)}
    with Client(server_process.address) as client:
        tracemalloc.start()
        try:
            client.select(pools[kind], strategy="entropy", budget=100)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < rows.nbytes / 4
