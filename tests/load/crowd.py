"""Many clients at once, in processes of their own, and health checks meanwhile."""

import multiprocessing
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from nextlabel import Client
from tests.load.mix import kinds


@dataclass
class Health:
    """Seconds that each check took, one after the other."""

    seconds: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[int(0.99 * len(self.seconds))]


@contextmanager
def watched_health(address: str) -> Iterator[Health]:
    """Checks health again and again, a hundred times a second at most, inside the block."""
    health, over = Health(), threading.Event()

    def check() -> None:
        with grpc.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while not over.wait(0.01):
                started = time.perf_counter()
                stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
                health.seconds.append(time.perf_counter() - started)

    with ThreadPoolExecutor(1) as thread:
        checking = thread.submit(check)
        try:
            yield health
        finally:
            over.set()
            checking.result()


def crowd(address: str, *, clients: int, calls: int, processes: int, scale: float) -> Counter:
    """Lets so many clients make so many calls each, all at once; every answer is checked.

    Returns how many calls of each kind were made.
    """
    context = multiprocessing.get_context("spawn")
    each = [clients // processes] * processes
    made: Counter = Counter()
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        barrier = context.Manager().Barrier(processes)
        running = [
            pool.submit(_some, barrier, address, number, calls, scale, seed)
            for seed, number in enumerate(each)
        ]
        for one in running:
            made += one.result()
    return made


def _some(barrier, address: str, clients: int, calls: int, scale: float, seed: int) -> Counter:
    os.nice(10)  # it is the server that is to be saturated, and not the processors by its clients
    with Client(address) as client:
        known = kinds(client, scale)
    barrier.wait()

    def one(number: int) -> Counter:
        rng = random.Random(f"{seed} {number}")
        made: Counter = Counter()
        with Client(address) as client:
            for _ in range(calls):
                kind = rng.choice(known)
                kind.check(client)
                made[kind.name] += 1
        return made

    with ThreadPoolExecutor(clients) as threads:
        return sum(threads.map(one, range(clients)), Counter())
