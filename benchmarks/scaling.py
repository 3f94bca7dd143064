"""Time and memory of every whole-pool strategy that claims to be linear, as N grows.

`python -m benchmarks.scaling` prints the table, and keeps it in docs/scaling.md with a picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks import processes
from benchmarks.memory import watching
from benchmarks.scaling_chart import draw
from nextlabel import Client
from nextlabel_server.selection.registry import Strategy, all_strategies

DOCS = Path(__file__).parent.parent / "docs"
COUNTS = (10_000, 100_000, 1_000_000)
PARAMETERS = {"batch_bald": {"configurations": 100}}  # at the default a gain costs 100 times more
BUDGET, CLASSES, DIMENSIONS, MEMBERS, LABELED = 100, 10, 32, 5, 100
HEAD = f"""\
# Scaling

Made by `make scaling`, which writes this page. Whole calls through a server on loopback, by every
whole-pool strategy whose time is declared linear in N (or N·log N): B = {BUDGET}, C = {CLASSES},
D = {DIMENSIONS}, M = {MEMBERS}, L = {LABELED}, standard normal embeddings, default parameters, but
*batch_bald* with 100 configurations: its gains are all alike here, and few are spared. The slope is
that of log time against log N from 100k to 1M rows: 1 is linear. Peak is the server's resident
memory above what it was when idle, reserved what it let the call in for.

![Time and memory against N](images/scaling.png)

| strategy | 10k | 100k | 1M | slope | peak at 1M | reserved | peak / reserved |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Growth:
    """Seconds, and bytes at the peak and reserved, for each of COUNTS."""

    strategy: str
    seconds: list[float]
    peak: list[float]
    reserved: list[float]

    @property
    def slope(self) -> float:
        """Of log time against log N, between the two largest pools."""
        return float(np.log(self.seconds[-1] / self.seconds[-2]) / np.log(COUNTS[-1] / COUNTS[-2]))


def growths() -> Iterator[Growth]:
    """How each strategy grows."""
    for strategy in all_strategies().values():
        if strategy.kind == "whole_pool" and "²·D" not in strategy.time.replace("(k·B)²·D", ""):
            measured = [_measured(strategy, count) for count in COUNTS]
            yield Growth(strategy.name, *map(list, zip(*measured, strict=True)))


def _measured(strategy: Strategy, count: int) -> tuple[float, float, float]:
    """Seconds, peak and reserved bytes of one call, after a small one on a new server."""
    with (
        processes.served("--metrics-address", "127.0.0.1:0") as (serving, pid),
        Client(serving["address"], timeout=600) as client,
    ):
        call = {"strategy": strategy.name, "parameters": PARAMETERS.get(strategy.name), "seed": 0}
        client.select(**call, budget=10, **_pool(strategy, 1000))
        pool = _pool(strategy, count)
        with watching(pid, serving["metrics_address"]) as watch:
            start = perf_counter()
            client.select(**call, budget=BUDGET, **pool)
            return perf_counter() - start, watch.peak, watch.reserved


def _pool(strategy: Strategy, rows: int) -> dict[str, Any]:
    """Arrays for all tensors that the strategy takes."""
    rng = np.random.default_rng(0)
    sizes = {"N": rows, "C": CLASSES, "D": DIMENSIONS, "M": MEMBERS, "L": LABELED}
    arrays: dict[str, Any] = {}
    for tensor in strategy.tensors:
        shape = tuple(sizes[axis] for axis in tensor.shape)
        if tensor.name == "labeled_labels":
            arrays[tensor.name] = rng.integers(2, size=shape).astype(np.float32)
        elif shape[-1] == CLASSES:
            exponential = rng.standard_exponential(shape, dtype=np.float32)
            arrays[tensor.name] = exponential / exponential.sum(axis=-1, keepdims=True)
        else:
            arrays[tensor.name] = rng.standard_normal(shape, dtype=np.float32)
    return arrays


def _line(growth: Growth) -> str:
    cells = [
        growth.strategy,
        *(f"{took:.2f} s" for took in growth.seconds),
        f"{growth.slope:.2f}",
        f"{growth.peak[-1] / 2**20:.0f} MiB",
        f"{growth.reserved[-1] / 2**20:.0f} MiB",
        f"{growth.peak[-1] / growth.reserved[-1]:.2f}" if growth.reserved[-1] else "-",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    print(HEAD, end="")
    found = []
    for growth in growths():
        found.append(growth)
        print(_line(growth), flush=True)
    (DOCS / "scaling.md").write_text(HEAD + "\n".join(map(_line, found)) + "\n")
    seconds = {growth.strategy: growth.seconds for growth in found}
    peak = {growth.strategy: growth.peak for growth in found}
    (DOCS / "images" / "scaling.png").write_bytes(draw(COUNTS, seconds, peak))


if __name__ == "__main__":
    main()
