"""What labels would tell, as a committee sees it: which member is right, or other predictions."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import lazy, numerics
from nextlabel_server.selection.distances import blocks
from nextlabel_server.selection.outcomes import Outcomes
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Rows, Scores
from nextlabel_server.selection.registry import Sizes, row_wise, whole_pool
from nextlabel_server.selection.targets import Targets
from nextlabel_server.selection.tensors import COMMITTEE, TARGET_COMMITTEE
from nextlabel_server.selection.tiles import TILE_ELEMENTS, Tile

_MOST_CONFIGURATIONS = 20_000
_ROUNDING = 1e-12  # of a sum of entropies: a gain that should stay the same may seem to rise


@row_wise(
    formula="mean_t of H(p̄_x) + H(p̄_t) − H(mean_m p_mx ⊗ p_mt)",
    reference="Bickford Smith et al. 2023, Prediction-oriented Bayesian active learning, "
    "arXiv:2304.08151",
    tensors=(COMMITTEE, TARGET_COMMITTEE),
    time="O(N·T·M·C²)",
    row_work=lambda s: s.T * s.M * s.C**2,
)
def epig(p: Tile, *, target_committee: Targets, pause: Callable[[], object]) -> Scores:
    """Favours rows whose label would tell most about the predictions for the targets.

    The mutual information of the row's and a target's label, their members being the same ones:
    expected predictive information gain. Row-wise, because it asks nothing of other rows.
    """
    members, _, rows = p.shape
    if target_committee.shape[1] != members:
        raise InvalidRequest(
            TARGET_COMMITTEE.name,
            f"found {target_committee.shape[1]} members; the pool has {members}",
        )
    columns = target_committee.columns
    joint_entropies = np.zeros(rows)
    # As many columns as there are members make a block of the size of the tile.
    for some in blocks(columns.shape[1], 1, members):
        pause()
        joint_entropies += numerics.entropy(_joint(columns[:, some], p).reshape(-1, rows))
    information = numerics.entropy(p.mean(axis=0)) - joint_entropies / target_committee.shape[0]
    information += target_committee.mean_entropy
    # Never negative, but for the last bits of sums that are equal.
    scores: Scores = np.maximum(information, 0.0)
    return scores


def _joint(columns: Tile, p: Tile) -> Tile:
    """mean_m of columns [M, j] ⊗ p [M, C, n]: [j, C, n].

    Not a BLAS product, which would round a row by where it stands in the tile.
    """
    joint: Tile = columns[0, :, None, None] * p[0]
    for column, member in zip(columns[1:], p[1:], strict=True):
        joint += column[:, None, None] * member
    joint /= len(p)
    return joint


def _batch_bald_bytes(s: Sizes) -> int:
    configurations: int = min(_MOST_CONFIGURATIONS, s.C ** min(s.B, 64))
    kept = 4 * s.N * s.M * s.C + 64 * s.N
    return kept + configurations * (24 * s.M + 48 * s.C) + 64 * TILE_ELEMENTS


@whole_pool(
    formula="I(y_i, y_S; member) − I(y_S; member), S the rows picked before",
    reference="Kirsch, van Amersfoort & Gal 2019, BatchBALD, arXiv:1906.08158",
    tensors=(COMMITTEE,),
    parameters=(
        Parameter(
            "configurations",
            int,
            "How many joint labelings of the picked rows are looked at. While all that can occur "
            "are at most as many, the gains are exact; after that they are estimated from as many "
            "draws.",
            default=10_000,
            minimum=1,
            maximum=_MOST_CONFIGURATIONS,
        ),
    ),
    time="O(N·M·C) + O(K·M·C) for each gain that is computed, K ≤ configurations",
    memory="4·N·M·C + 64·N + K·(24·M + 48·C) + 2 MiB, K = min(20 000, C^B)",
    bytes_of=_batch_bald_bytes,
)
def batch_bald(pool: Pool, picking: Picking, *, configurations: int) -> None:
    """Picks the rows whose labels together would tell most about which member is right.

    Greedy: each pick adds most to the mutual information of all picked labels and the member,
    so a row that is like a picked one adds little. The first pick is that of `bald`. The gain is
    E[H(y_i | y_S)] − mean_m H(y_i | m), the same number without the joint entropies that cancel.
    It only shrinks as rows are picked, so most rows need no new one; draws are noisy, and there
    a row that is not computed again keeps the gain that was last estimated for it.
    """
    if not picking.wants_more:
        return
    committee = pool.committee
    _, members, classes = committee.shape
    outcomes = Outcomes(members, configurations, pool.rng)
    own_entropies = _mean_entropies(committee)

    def gains_of(rows: Rows) -> Scores:
        gains = np.empty(len(rows))
        for some in blocks(len(rows), classes * max(len(outcomes), members), TILE_ELEMENTS):
            picking.check()
            gains[some] = outcomes.entropies(committee[rows[some]])
        gains -= own_entropies[rows]
        positive: Scores = np.maximum(gains, 0.0)
        return positive

    alone = gains_of(np.arange(len(committee)))
    bounds = alone.copy()
    for row in lazy.picks(picking, bounds, gains_of):
        outcomes.add(committee[row])
        bounds += _ROUNDING
    picking.settle(alone)


def _mean_entropies(committee: npt.NDArray[np.float32]) -> Scores:
    """mean_m H(p_m) of each row, [N]."""
    rows, members, classes = committee.shape
    entropies = np.empty(rows)
    for some in blocks(rows, members * classes, TILE_ELEMENTS):
        p = np.moveaxis(committee[some].astype(np.float64), -1, 0)
        entropies[some] = numerics.entropy(p).mean(axis=1)
    return entropies
