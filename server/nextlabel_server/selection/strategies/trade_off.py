"""Batches that weigh, pick by pick, how unsure a row is against how near it is to the others."""

import numpy as np

from nextlabel_server.selection import distances, greedy
from nextlabel_server.selection.distances import Doubles
from nextlabel_server.selection.parameters import Parameter, base_of
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.registry import whole_pool
from nextlabel_server.selection.tensors import (
    DIRECTIONS,
    EMBEDDINGS,
    LABELED_EMBEDDINGS,
    PROBABILITIES,
)


@whole_pool(
    formula="α·(1 − s_i) + (1 − α)·u_i, s_i = 1/(1 + min_{j labeled or picked} d(x_i, x_j))",
    reference="Cardoso et al. 2017, Ranked batch-mode active learning, Information Sciences 379",
    tensors=(PROBABILITIES, EMBEDDINGS, LABELED_EMBEDDINGS),
    parameters=(
        base_of("least_confidence"),
        Parameter(
            "alpha",
            float,
            "Weight of being far from what is labeled or picked, from 0 to 1. Below 0: the share "
            "of unlabeled rows among all, as in the paper; it falls with each pick.",
            default=-1.0,
            minimum=-1,
            maximum=1,
        ),
    ),
    time="O(N·(L + B)·D)",
    memory="4·N·D + 12·L·D + 8·B·D + 96·N + 16 MiB",
    bytes_of=lambda s: (4 * s.N + 12 * s.L + 8 * s.B) * s.D + 96 * s.N + (16 << 20),
)
def ranked_batch(pool: Pool, picking: Picking, *, base: str, alpha: float) -> None:  # noqa: ARG001
    """Picks rows that are unsure and unlike all that is labeled or picked.

    α is |unlabeled|/(|unlabeled| + |labeled|), where a pick counts as labeled from then on. With
    nothing labeled the first pick is the row nearest the mean, and s in its gain is 1/(1 + its
    distance from the mean). modAL takes the medoid, which is not to be had in linear time.
    """
    labeled = pool.references.get("labeled_embeddings")
    labeled_count = 0 if labeled is None else len(labeled)
    known = pool.row_count + labeled_count

    def gain(squared: Doubles, rows: Rows | slice, picks: int) -> Doubles:
        share = max(pool.row_count - picks, 0) / known if alpha < 0 else alpha
        similarity = 1 / (1 + np.sqrt(squared))
        gains: Doubles = share * (1 - similarity) + (1 - share) * pool.scores[rows]
        return gains

    cover = distances.Cover(pool.embeddings, picking.check)
    picks = 0
    if labeled is not None and labeled_count:
        cover.add(labeled)
    elif picking.wants_more:
        first, far = distances.nearest_to_mean(pool.embeddings, picking.open)
        picking.take(first, float(gain(np.array([far**2]), np.array([first]), 0)[0]))
        cover.add(pool.embeddings[first : first + 1])
        picks = 1
    greedy.pick(cover, picking, gain, picks=picks)


@whole_pool(
    formula="λ·u_i − (1 − λ)·max_{j picked} cos(x_i, x_j); λ·u_i for the first",
    reference="Carbonell & Goldstein 1998, The use of MMR, SIGIR",
    tensors=(PROBABILITIES, DIRECTIONS),
    parameters=(
        base_of("entropy"),
        Parameter(
            "weight",
            float,
            "λ: 1 is the base score alone, 0 similarity alone.",
            default=0.5,
            minimum=0,
            maximum=1,
        ),
    ),
    time="O((N + B)·B·D)",
    memory="4·N·D + 8·B·D + 96·N + 12 MiB",
    bytes_of=lambda s: (4 * s.N + 8 * s.B) * s.D + 96 * s.N + (12 << 20),
)
def mmr(pool: Pool, picking: Picking, *, base: str, weight: float) -> None:  # noqa: ARG001
    """Picks rows that are unsure and point elsewhere than the most similar pick.

    Similarity is the cosine of embeddings, as in the paper; that of unit vectors is 1 − d²/2.
    With costs what counts for each unit is how far the gain is above −(1 − λ), the least that it
    can be.
    """
    if not picking.wants_more:
        return

    def gain(squared: Doubles, rows: Rows | slice, _picks: int) -> Doubles:
        gains: Doubles = weight * pool.scores[rows] - (1 - weight) * (1 - squared / 2)
        return gains

    lowest = weight - 1
    first = picking.best(weight * pool.scores, lowest)
    picking.take(first, weight * float(pool.scores[first]))
    cover = distances.Cover(pool.embeddings, picking.check)
    cover.add(pool.embeddings[first : first + 1])
    greedy.pick(cover, picking, gain, lowest=lowest)
