"""Mistakes that differ in price: what the best decision is expected to cost."""

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection.probabilities import Tile
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import row_wise
from nextlabel_server.selection.tensors import COST_MATRIX, PROBABILITIES

_REFERENCE = "Chen & Lin 2013, Active learning for multiclass cost-sensitive classification"


@row_wise(
    formula="min_j Σ_c p_c K[c, j]",
    reference=_REFERENCE,
    tensors=(PROBABILITIES, COST_MATRIX),
    negative_scores=True,
    time="O(N·C²)",
)
def expected_cost(p: Tile, *, cost_matrix: npt.NDArray[np.float64]) -> Scores:
    """Favours rows where even the cheapest decision is expensive."""
    cheapest: Scores = (cost_matrix.T @ p).min(axis=0)
    return cheapest


@row_wise(
    formula="−(second smallest − smallest of Σ_c p_c K[c, j] over j)",
    reference=_REFERENCE,
    tensors=(PROBABILITIES, COST_MATRIX),
    negative_scores=True,
    min_classes=2,
    time="O(N·C²)",
)
def expected_cost_margin(p: Tile, *, cost_matrix: npt.NDArray[np.float64]) -> Scores:
    """Favours rows where the two cheapest decisions cost nearly the same."""
    costs = np.partition(cost_matrix.T @ p, 1, axis=0)
    negative_margin: Scores = costs[0] - costs[1]
    return negative_margin
