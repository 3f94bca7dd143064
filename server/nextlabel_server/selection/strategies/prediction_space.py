"""Batches that are unsure, and far apart in what is predicted: no embeddings are needed."""

import numpy as np

from nextlabel_server.selection import draws
from nextlabel_server.selection.distances import Doubles, Matrix, blocks
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.tensors import PROBABILITIES


@whole_pool(
    formula="u_i + d_i, u = 1 − (p(1) − p(2)), d = min(u_i, min_{j picked} |p_i − p_j|₁) scaled "
    "to 0 … 1 over the rows that are open",
    reference="Gilhuber et al. 2024, FALCUN, ECML-PKDD",
    tensors=(PROBABILITIES,),
    parameters=(
        Parameter(
            "gamma",
            float,
            "How strongly the draw follows u + d: 0 is uniform, large takes the highest.",
            default=10.0,
            minimum=0,
            maximum=1e6,
        ),
    ),
    time="O(N·B·C)",
    memory="4·N·C + 64·N + 24 MiB",
    bytes_of=lambda s: 4 * s.N * s.C + 64 * s.N + (24 << 20),
    stochastic=True,
    min_classes=2,
)
def falcun(pool: Pool, picking: Picking, *, gamma: float) -> None:
    """Draws rows in proportion to (uncertainty + distance to the picks' predictions)^γ.

    As in the authors' code the distance starts as the uncertainty, shrinks to the L1 distance to
    the nearest pick, and is scaled anew for each pick.
    """
    p = pool.probabilities
    uncertainty = _margin_scores(p)
    distance = uncertainty.copy()
    while picking.wants_more:
        scores = uncertainty + _scaled(distance, picking)
        highest = scores[picking.open].max()
        # In shares of the highest, so that no power overflows; those of all 0 are alike.
        shares = np.minimum(scores / (highest or 1.0), 1.0)
        row = draws.weighted_row(shares**gamma, picking, pool.rng)
        picking.take(row, float(scores[row]))
        for some in blocks(len(p), p.shape[1]):
            apart = np.abs(np.subtract(p[some], p[row], dtype=np.float64)).sum(axis=1)
            np.minimum(distance[some], apart, out=distance[some])


def _scaled(distance: Doubles, picking: Picking) -> Doubles:
    """Distances so that those of open rows go from 0 to 1; all 0 when they are alike."""
    shortest, longest = distance[picking.open].min(), distance[picking.open].max()
    scaled: Doubles = np.maximum(distance - shortest, 0.0) / ((longest - shortest) or 1.0)
    return np.minimum(scaled, 1.0)


def _margin_scores(p: Matrix) -> Doubles:
    """1 − (p(1) − p(2)), [N], in float64."""
    scores = np.empty(len(p))
    for some in blocks(len(p), p.shape[1] if len(p) else 1):
        second, first = np.partition(p[some], (-2, -1), axis=1)[:, -2:].astype(np.float64).T
        scores[some] = 1 - (first - second)
    return scores
