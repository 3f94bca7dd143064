"""The long form of the load tests: `make soak` prints its table and keeps it in docs/soak.md."""

import os
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.load import crowd, mix
from tests.servers import ServerProcess

PAGE = Path(__file__).parents[2] / "docs" / "soak.md"
MIB = 1 << 20
BUDGET = 512 * MIB
CLEAN = {"OK", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "CANCELLED", "DEADLINE_EXCEEDED"}
HEAD = """# Under load

Made by `make soak`, which writes this page. A server in a process of its own, on loopback; its
clients share its processors, and give way to it. Every answer is compared with that of a server at
rest. The calls are mixed: unary and streamed, of known and unknown length, row-wise and whole-pool,
sampled, with all scores, through a model, refused, given up by their caller.

| what | target | found |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Figure:
    """What was measured, in words."""

    what: str
    target: str
    found: str
    reached: bool

    def __str__(self) -> str:
        missed = "" if self.reached else ", missed"
        return f"| {self.what} | {self.target} | {self.found}{missed} |"


def crowded(models: Path, clients: int, calls: int) -> Iterator[Figure]:
    """Many clients at once on a small budget."""
    with ServerProcess(models=models, memory_budget_bytes=BUDGET) as server:
        with crowd.watched_health(server.address) as health:
            made = crowd.crowd(server.address, clients=clients, calls=calls, processes=4, scale=1)
        statuses = Counter(call["status"] for call in server.events("call"))
        peak = server.peak_memory_bytes
    refused = statuses["RESOURCE_EXHAUSTED"]
    yield Figure(
        f"{clients} clients at once, {calls} calls each, up to 40 MB a pool, a budget of 512 MiB",
        "each ends in the right answer, after refusals that say when to come back",
        f"{made.total()} answered, after {refused} refusals; nothing else",
        set(statuses) <= CLEAN,
    )
    limit = 1.2 * BUDGET
    yield Figure(
        "peak resident memory of the process meanwhile",
        f"{limit / MIB:.0f} MiB",
        f"{peak / MIB:.0f} MiB",
        peak <= limit,
    )
    yield Figure(
        f"health checks meanwhile, 99th percentile of {len(health.seconds)}",
        "50 ms",
        f"{health.p99 * 1e3:.0f} ms",
        health.p99 <= 0.05,
    )


def soaked(models: Path, calls: int) -> Iterator[Figure]:
    """Many calls, one crowd after another."""
    first = calls // 10
    with ServerProcess(models=models, memory_budget_bytes=BUDGET) as server:

        def make(number: int) -> int:
            crowd.crowd(server.address, clients=8, calls=number // 8, processes=1, scale=0.2)
            return server.settled_memory_bytes()

        before, after = make(first), make(calls - first)
        statuses = {call["status"] for call in server.events("call")}
    yield Figure(
        f"resident memory after {calls} mixed calls, against the first {first}",
        "within 5 %",
        f"{before / MIB:.0f} to {after / MIB:.0f} MiB, {100 * (after / before - 1):+.1f} %",
        after <= 1.05 * before and statuses <= CLEAN,
    )


def main(clients: int = 200, calls_each: int = 5, calls: int = 10_000) -> None:
    lines = []
    print(HEAD, end="")  # noqa: T201
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory)
        mix.save_model(models)
        figures = [*crowded(models, clients, calls_each), *soaked(models, calls)]
    for figure in figures:
        lines.append(str(figure))
        print(lines[-1], flush=True)  # noqa: T201
    where = (
        f"Python {platform.python_version()}, grpcio {version('grpcio')}, "
        f"numpy {version('numpy')}; {os.cpu_count()} processors."
    )
    PAGE.write_text(HEAD + "\n".join(lines) + f"\n\n{where}\n")
    sys.exit(not all(figure.reached for figure in figures))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
