"""Batches for predictions that are numbers: rows unlike each other, in input or in prediction."""

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import distances, lazy
from nextlabel_server.selection.clusters import Clusters
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Rows, Scores
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.tensors import (
    EMBEDDINGS,
    LABELED_EMBEDDINGS,
    LABELED_VALUES,
    PREDICTIONS,
)
from nextlabel_server.selection.tiles import TILE_ELEMENTS

_WU = "Wu, Lin & Huang 2019, Active learning for regression using greedy sampling, arXiv:1808.04245"
_BLOCKS = 32 << 20  # bytes of the blocks that distances are computed in


@whole_pool(
    formula="min_{j labeled or picked} |y_i − y_j|",
    reference=_WU,
    tensors=(PREDICTIONS, LABELED_VALUES),
    time="O(N·B + (N + L)·log L)",
    memory="64·N + 16·L",
    bytes_of=lambda s: 64 * s.N + 16 * s.L,
)
def greedy_y(pool: Pool, picking: Picking) -> None:
    """Picks the row whose predicted value is farthest from all that is labeled or picked (GSy).

    The paper labels one row at a time and predicts anew; within a batch the prediction stands for
    the label. With nothing labeled the first pick is the row nearest the mean prediction, as it
    is nearest the mean embedding in greedy_x, and its gain the distance to it.
    """
    y = pool.predictions
    labeled = pool.references.get("labeled_values", np.empty(0))
    gains = _to_nearest(y, np.sort(labeled))
    if not len(labeled) and picking.wants_more:
        first, gain = distances.nearest_to_mean(y[:, None], picking.open)
        picking.take(first, gain)
        gains = np.abs(y - y[first])
    while picking.wants_more:
        row = picking.best(gains)
        picking.take(row, float(gains[row]))
        np.minimum(gains, np.abs(y - y[row]), out=gains)


def _to_nearest(y: Scores, in_order: Scores) -> Scores:
    """How far each value is from the nearest of some in ascending order; infinite without any."""
    fenced = np.concatenate([[-np.inf], in_order, [np.inf]])
    above = np.searchsorted(fenced, y)
    nearest: Scores = np.minimum(fenced[above] - y, y - fenced[above - 1])
    return nearest


@whole_pool(
    formula="min_{j labeled or picked} d(x_i, x_j) · |y_i − y_j|",
    reference=_WU,
    tensors=(EMBEDDINGS, PREDICTIONS, LABELED_EMBEDDINGS, LABELED_VALUES),
    time="O(N·(L + B)·D), far less when most rows need no new gain",
    memory="4·N·D + 12·(L + B)·D + 72·N + 32 MiB",
    bytes_of=lambda s: 4 * s.N * s.D + 12 * (s.L + s.B) * s.D + 72 * s.N + _BLOCKS,
)
def improved_greedy(pool: Pool, picking: Picking) -> None:
    """Picks the row that is farthest from all labeled or picked, by input and prediction (iGS).

    Within a batch the prediction stands for the label. With nothing labeled the first pick is
    that of greedy_x, the row nearest the mean embedding, and its gain the distance to it.
    """
    x, y = pool.embeddings, pool.predictions
    context = _Context.of(pool, picking.left)
    gains = np.full(len(x), np.inf)
    seen = np.zeros(len(x), dtype=np.int64)  # how many of the context each gain is the least of

    def gains_of(rows: Rows) -> Scores:
        for some in distances.blocks(len(rows), max(x.shape[1], context.size), TILE_ELEMENTS):
            picking.check()
            part = rows[some]
            products = context.products(x[part], y[part], int(seen[part].min()))
            gains[part] = np.minimum(gains[part], products)
            seen[part] = context.size
        return gains[rows]

    if context.size:
        gains_of(np.arange(len(x)))
    elif picking.wants_more:
        first, gain = distances.nearest_to_mean(x, picking.open)
        picking.take(first, gain)
        context.add(x[first], y[first])
        gains_of(np.arange(len(x)))
    for row in lazy.picks(picking, gains, gains_of):
        context.add(x[row], y[row])


class _Context:
    """What is labeled, then what is picked: inputs [size, D] and values [size], in float64."""

    def __init__(self, rows: int, dimensions: int) -> None:
        self.size = 0
        self._x = np.empty((rows, dimensions))
        self._y = np.empty(rows)

    @classmethod
    def of(cls, pool: Pool, picks: int) -> "_Context":
        """The labeled rows, with room for as many picks.

        Raises:
            InvalidRequest: labeled inputs without values, or values without inputs.
        """
        given = [t.name for t in (LABELED_EMBEDDINGS, LABELED_VALUES) if t.name in pool.references]
        if len(given) == 1:
            (missing,) = {LABELED_EMBEDDINGS.name, LABELED_VALUES.name} - set(given)
            raise InvalidRequest(missing, f"missing; {given[0]} came without it")
        labeled = pool.references[LABELED_EMBEDDINGS.name] if given else pool.embeddings[:0]
        context = cls(len(labeled) + picks, pool.embeddings.shape[1])
        if len(labeled):
            context._x[: len(labeled)] = labeled
            context._y[: len(labeled)] = pool.references[LABELED_VALUES.name]
            context.size = len(labeled)
        return context

    def add(self, x: npt.NDArray[np.float32], y: float) -> None:
        self._x[self.size], self._y[self.size] = x, y
        self.size += 1

    def products(self, x: npt.NDArray[np.float32], y: Scores, start: int) -> Scores:
        """The least d(x_i, x_j) · |y_i − y_j| over the context from `start` on, [n]."""
        least = np.full(len(x), np.inf)
        for some in distances.blocks(self.size - start, len(x), TILE_ELEMENTS):
            to = slice(start + some.start, start + some.stop)
            # From differences in float64, as gains are compared with each other exactly.
            products = cdist(x, self._x[to])
            products *= np.abs(y[:, None] - self._y[to])
            np.minimum(least, products.min(axis=1), out=least)
        return least


@whole_pool(
    formula="d(x_i, nearest labeled or picked), of the rows in the largest cluster: the one with "
    "the largest Σ d² of its rows to their nearest labeled or picked row",
    reference="Holzmüller et al. 2023, A framework and benchmark for deep batch active learning "
    "for regression, arXiv:2203.09410",
    tensors=(EMBEDDINGS, LABELED_EMBEDDINGS),
    time="O(N·(L + B)·D)",
    memory="4·N·D + 8·L·D + 64·N + 32 MiB",
    bytes_of=lambda s: 4 * s.N * s.D + 8 * s.L * s.D + 64 * s.N + _BLOCKS,
    covers=True,
)
def lcmd(pool: Pool, picking: Picking) -> None:
    """Picks the farthest row of the largest cluster around what is labeled or picked.

    With nothing labeled the first pick is the row with the largest norm, which is its gain; under
    cosine all norms are 1 but for their last digit. A row between two that are as near belongs to
    the earlier one. All rows count for the size of a cluster; of those that have a row that may
    be picked, the largest is taken. Exact: the picks are those of float64.
    """
    x = pool.embeddings
    clusters = Clusters(x, picking.check)
    labeled = pool.references.get("labeled_embeddings", x[:0])
    clusters.add(labeled)
    if not len(labeled) and picking.wants_more:
        norms = _norms(x, pool.origin)
        first = picking.best(norms)
        picking.take(first, float(norms[first]))
        clusters.add(x[first : first + 1])
    while picking.wants_more:
        sizes = np.bincount(clusters.nearest, weights=clusters.squared)[clusters.nearest]
        largest = sizes == sizes[picking.open].max()
        gains = np.where(largest, np.sqrt(clusters.squared), -np.inf)
        row = picking.best(gains)
        picking.take(row, float(gains[row]))
        clusters.add(x[row : row + 1])


def _norms(x: distances.Matrix, origin: distances.Doubles) -> Scores:
    """|x_i| as they were before the embeddings were moved, [N]."""
    norms = np.empty(len(x))
    for rows in distances.blocks(*x.shape):
        norms[rows] = distances.exact_squared(x[rows], -origin)
    return np.sqrt(norms)
