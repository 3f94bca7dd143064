"""information_density, linear in N, against modAL's formula, which looks at every pair."""

from collections.abc import Iterator

import numpy as np

from benchmarks import processes
from benchmarks.peer_process import peers
from benchmarks.timing import in_turn, seconds
from nextlabel import Client

TITLE = "Information density"
ABOUT = """\
D = 64, C = 10, top 100. The slope is that of log time against log N from the row before: 1 is
linear, 2 quadratic. modAL's similarity is 1/(1 + cosine distance) and ours the cosine, so scores
are others; the work is the same, the mean similarity of each row to all."""
COLUMNS = ("N", "nextlabel", "slope", "modAL", "slope")

BOTH = (2_000, 4_000, 8_000)  # more is more memory than it is worth: modAL holds N x N
ALONE = (25_000, 50_000, 100_000, 200_000, 400_000)


def rows() -> Iterator[tuple[str, ...]]:
    """A row of the table for each N."""
    rng = np.random.default_rng(0)
    last: dict[str, tuple[int, float]] = {}

    def slope(way: str, count: int, took: float) -> str:
        before, last[way] = last.get(way), (count, took)
        if before is None:
            return ""
        return f"{np.log(took / before[1]) / np.log(count / before[0]):.2f}"

    with processes.nextlabel() as address, Client(address) as client, peers() as others:
        for count in (*BOTH, *ALONE):
            x = rng.standard_normal((count, 64), dtype=np.float32)
            p = rng.dirichlet(np.ones(10), size=count).astype(np.float32)

            def ours(x: np.ndarray = x, p: np.ndarray = p) -> float:
                call = {"strategy": "information_density", "budget": 100}
                return seconds(lambda: client.select(**call, probabilities=p, embeddings=x))

            ours()
            if count not in BOTH:
                (mine,) = in_turn([ours], 5)
                yield f"{count:,}", _ms(mine), slope("ours", count, mine), "", ""
                continue
            found, usable = others.ready("information_density_modal", {"embeddings": x})
            if not usable:
                (mine,) = in_turn([ours], 5)
                yield f"{count:,}", _ms(mine), slope("ours", count, mine), found, ""
                continue
            mine, theirs = in_turn([ours, lambda: others.work()[0]], 5)
            yield (
                f"{count:,}",
                _ms(mine),
                slope("ours", count, mine),
                _ms(theirs),
                slope("theirs", count, theirs),
            )


def _ms(took: float) -> str:
    return f"{took * 1e3:.0f} ms"
