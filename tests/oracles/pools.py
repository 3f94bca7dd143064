"""Pools on which peers are asked, and how picks are held against what a peer would pick.

A peer breaks ties as it likes, at random or by chance. So greedy picks are replayed: before each
one the peer is told what has been picked so far, and ours must be the lowest row of those that it
thinks best now, with the gain that it gives.
"""

from collections.abc import Callable, Sequence

import numpy as np

_RNG = np.random.default_rng(29)

PROBABILITIES = {
    "random": _RNG.dirichlet(np.ones(5), 200),
    "sure": _RNG.dirichlet(np.full(5, 0.05), 200),
    "tied": _RNG.multinomial(4, [0.25] * 4, 200) / 4,
    "one_hot": np.eye(3)[_RNG.integers(0, 3, 60)],
    "binary": _RNG.dirichlet(np.ones(2), 50),
    "single_class": np.ones((20, 1)),
    "tiny": np.array([[0.2, 0.5, 0.3]]),
}
"""[N, C]"""

COMMITTEES = {
    "random": _RNG.dirichlet(np.ones(4), (100, 6)),
    "sure": _RNG.dirichlet(np.full(4, 0.05), (100, 6)),
    "tied": _RNG.multinomial(4, [1 / 3] * 3, (100, 4)) / 4,
    "one_hot": np.eye(3)[_RNG.integers(0, 3, (60, 5))],
    "single_class": np.ones((20, 3, 1)),
    "one_member": _RNG.dirichlet(np.ones(3), (50, 1)),
    "tiny": np.array([[[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]]),
}
"""[N, M, C]"""

# Values that float32, in which embeddings are kept, holds without rounding.
EMBEDDINGS = {
    "random": _RNG.normal(size=(150, 6)).astype(np.float32).astype(np.float64),
    "tied": _RNG.integers(-2, 3, (150, 2)).astype(np.float64),
    "one_hot": np.eye(8)[_RNG.integers(0, 8, 40)],
    "far": (_RNG.normal(size=(80, 3)) + 100).astype(np.float32).astype(np.float64),
    "tiny": np.array([[3.0, 4.0]]),
}
"""[N, D]"""


def labeled_for(x: np.ndarray, rows: int = 4) -> np.ndarray:
    """Labeled embeddings [L, D] of the kind that `x` has, one of them a copy of a pool row."""
    between = np.abs(x[: rows - 1]) + 1
    return np.concatenate([between, x[-1:]]).astype(np.float32).astype(np.float64)


def blobs(sizes: Sequence[int], dimensions: int = 3) -> np.ndarray:
    """Rows of clusters so far apart that any way of clustering finds them, [Σ sizes, D]."""
    rng = np.random.default_rng(5)
    centers = 20 * np.eye(len(sizes), dimensions + len(sizes))
    x = np.repeat(centers, sizes, axis=0) + rng.normal(size=(sum(sizes), centers.shape[1]))
    return x.astype(np.float32).astype(np.float64)


def assert_picks_are_the_peers(
    picking,
    utilities_after: Callable[[list[int]], np.ndarray],
    *,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    rounded: bool = False,
) -> None:
    """Replays greedy picks; `utilities_after` gives the peer's [N] once some rows are picked.

    With `rounded`, rows that are equally good may differ in their last bits, and any will do.
    """
    rows = picking.rows.tolist()
    assert len(set(rows)) == len(rows)
    for i, (row, gain) in enumerate(zip(rows, picking.gains, strict=True)):
        utilities = np.array(utilities_after(rows[:i]), dtype=float)
        utilities[rows[:i]] = np.nan
        best = np.nanmax(utilities)
        np.testing.assert_allclose([gain, utilities[row]], best, rtol=rtol, atol=atol)
        alike = np.flatnonzero(utilities >= best - (atol + rtol * abs(best)))
        assert row in alike if rounded else row == alike[0], f"pick {i}: {row} for {alike}"
