"""The row that is nearest to all others on average."""

from collections.abc import Callable

import numpy as np

from nextlabel_server.selection.distances import (
    BLOCK_ELEMENTS,
    Doubles,
    Matrix,
    between,
    blocks,
    exact_squared,
)
from nextlabel_server.selection.ranking import Mask

_ALIKE = 1e-9  # a share of the mean distance within which sums of N terms do not differ


def medoid(x: Matrix, among: Mask, check: Callable[[], object]) -> tuple[int, float]:
    """The row of [N, D] with the least mean distance to all rows, and that distance.

    `among` [N] says which rows may be it; the lowest of those that are alike is. `check` is
    called now and then. Exact, with rows left out that cannot be it (Newling & Fleuret 2017,
    arXiv:1605.06950): by the triangle inequality i is at least |mean distance of j − d(i, j)|
    from all on average, and at least its distance from the centre.
    """
    center = x.mean(axis=0, dtype=np.float64)
    least = np.concatenate(
        [np.sqrt(exact_squared(x[some], center)) for some in blocks(len(x), x.shape[1])]
    )
    means = np.full(len(x), np.inf)
    best = np.inf
    rows = np.flatnonzero(among)
    rows = rows[np.argsort(least[rows], kind="stable")]
    step = max(1, BLOCK_ELEMENTS // max(1, len(x)))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        some = some[least[some] <= best * (1 + _ALIKE)]
        if len(some):
            check()
            distances = _distances(x, x[some])
            means[some] = distances.mean(axis=1)
            np.maximum(least, np.abs(means[some, None] - distances).max(axis=0), out=least)
            best = min(best, float(means[some].min()))
    row = int(np.flatnonzero(means <= best * (1 + _ALIKE))[0])
    return row, float(means[row])


def _distances(x: Matrix, y: Matrix) -> Doubles:
    """|y_j − x_i|, [m, N], in float64."""
    distances = np.empty((len(y), len(x)))
    for some in blocks(len(x), max(len(y), x.shape[1])):
        distances[:, some] = between(y, x[some])
    return distances
