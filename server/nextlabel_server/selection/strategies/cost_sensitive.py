"""Mistakes that differ in price: what the best decision is expected to cost."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection.distances import blocks
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import Sizes, row_wise
from nextlabel_server.selection.tensors import COST_MATRIX, PROBABILITIES
from nextlabel_server.selection.tiles import PADDING, Tile

_PAUSE_WORK = 1 << 26  # multiplications: some 20 ms
_REFERENCE = "Chen & Lin 2013, Active learning for multiclass cost-sensitive classification"


def _row_work(sizes: Sizes) -> int:
    return sizes.C**2


@row_wise(
    formula="min_j Σ_c p_c K[c, j]",
    reference=_REFERENCE,
    tensors=(PROBABILITIES, COST_MATRIX),
    negative_scores=True,
    time="O(N·C²)",
    row_work=_row_work,
)
def expected_cost(
    p: Tile, *, cost_matrix: npt.NDArray[np.float64], pause: Callable[[], object]
) -> Scores:
    """Favours rows where even the cheapest decision is expensive."""
    cheapest: Scores = _expected_costs(p, cost_matrix, pause).min(axis=0)
    return cheapest


@row_wise(
    formula="−(second smallest − smallest of Σ_c p_c K[c, j] over j)",
    reference=_REFERENCE,
    tensors=(PROBABILITIES, COST_MATRIX),
    negative_scores=True,
    min_classes=2,
    time="O(N·C²)",
    row_work=_row_work,
)
def expected_cost_margin(
    p: Tile, *, cost_matrix: npt.NDArray[np.float64], pause: Callable[[], object]
) -> Scores:
    """Favours rows where the two cheapest decisions cost nearly the same."""
    costs = np.partition(_expected_costs(p, cost_matrix, pause), 1, axis=0)
    negative_margin: Scores = costs[0] - costs[1]
    return negative_margin


def _expected_costs(
    p: Tile, cost_matrix: npt.NDArray[np.float64], pause: Callable[[], object]
) -> Tile:
    """Σ_c p_c K[c, j] of each decision j: [C, n].

    Not a BLAS product, which is faster but rounds a column by where it stands in the tile and
    by how many threads share the work: scores would depend on the size of a block.
    """
    costs: Tile = np.empty_like(p)
    # Few rows at a time rather than few decisions, which take longer.
    for rows in blocks(-(-p.shape[1] // PADDING), PADDING * len(p) ** 2, _PAUSE_WORK):
        some = slice(rows.start * PADDING, rows.stop * PADDING)
        for decisions in blocks(len(p), p[:, some].size, _PAUSE_WORK):
            pause()
            out = costs[decisions, some]
            np.einsum("cj,cn->jn", cost_matrix[:, decisions], p[:, some], out=out)
    return costs
