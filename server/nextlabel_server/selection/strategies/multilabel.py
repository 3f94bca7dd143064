"""Labels that are independent of each other. Tiles are q [C, n]; f = 2q − 1, the decision value.

A label is predicted where q > τ. f takes the place of an SVM's output in the papers.
"""

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import numerics
from nextlabel_server.selection.distances import Matrix
from nextlabel_server.selection.labels import LabeledLabels
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import row_wise, whole_pool
from nextlabel_server.selection.tensors import LABEL_PROBABILITIES, LABELED_LABELS
from nextlabel_server.selection.tiles import Tile

_LI_GUO = "Li & Guo 2013, Active learning with multi-label SVM classification"
_LI_WANG_SUNG = "Li, Wang & Sung 2004, Multi-label SVM active learning for image classification"
_CLOSEST = 1e-12  # a separation below it counts as this one, so that its inverse is finite
_THRESHOLD = Parameter(
    "threshold", float, "τ: a label is predicted where q > τ.", default=0.5, minimum=0, maximum=1
)


@row_wise(
    formula="reduce over c of 1 − |f_c|, or of H(q_c, 1 − q_c)",
    reference="Esuli & Sebastiani 2009, Active learning strategies for multi-label text "
    "classification",
    tensors=(LABEL_PROBABILITIES,),
    parameters=(
        Parameter(
            "measure",
            str,
            "How unsure one label is: 1 − |f|, or its entropy.",
            default="least_confidence",
            choices=("least_confidence", "entropy"),
        ),
        Parameter(
            "reduce",
            str,
            "What makes a row's score of those of its labels.",
            default="mean",
            choices=("mean", "max", "sum"),
        ),
    ),
)
def binary_uncertainty(q: Tile, *, measure: str, reduce: str) -> Scores:
    """Favours rows whose labels are unsure, each by itself."""
    if measure == "entropy":
        doubt = numerics.entropy(np.stack([q, 1.0 - q]))
    else:
        doubt = 1.0 - np.abs(_decision(q))
    if reduce == "max":
        scores: Scores = doubt.max(axis=0)
    else:
        scores = doubt.sum(axis=0) if reduce == "sum" else doubt.mean(axis=0)
    return scores


@row_wise(
    formula="−min_c |f_c|",
    reference="Brinker 2006, On active learning in multi-label classification",
    tensors=(LABEL_PROBABILITIES,),
    negative_scores=True,
)
def bin_min(q: Tile) -> Scores:
    """Favours rows with one label that is close to its decision."""
    scores: Scores = 0.0 - np.abs(_decision(q)).min(axis=0)
    return scores


@row_wise(
    formula="|Σ_c 1[q_c > τ] − mean number of labels of a labeled row|",
    reference=_LI_GUO,
    tensors=(LABEL_PROBABILITIES, LABELED_LABELS),
    parameters=(_THRESHOLD,),
)
def label_cardinality(q: Tile, *, labeled_labels: LabeledLabels, threshold: float) -> Scores:
    """Favours rows predicted to have more or fewer labels than labeled rows have.

    With nothing labeled the mean is 0.
    """
    return _inconsistency(q, labeled_labels, threshold)


@row_wise(
    formula="(1 / max(separation, 1e-12))^β · (label_cardinality + 1)^(1 − β); the separation is "
    "the least f of a predicted label less the largest of any other",
    reference=_LI_GUO,
    tensors=(LABEL_PROBABILITIES, LABELED_LABELS),
    parameters=(
        Parameter(
            "beta",
            float,
            "β: 1 looks at the separation alone, 0 at the number of labels alone.",
            default=0.5,
            minimum=0,
            maximum=1,
        ),
        _THRESHOLD,
    ),
)
def adaptive_multilabel(
    q: Tile, *, labeled_labels: LabeledLabels, beta: float, threshold: float
) -> Scores:
    """Favours rows whose predicted labels are hardly apart from the others, or are oddly many.

    The paper leaves open a row whose labels are predicted all, or none: its separation is taken
    from the decision at τ. It finds β by retraining, which is the caller's to do; the 1 keeps
    rows with the usual number of labels from scoring 0 whatever their separation.
    """
    predicted, f = q > threshold, _decision(q)
    decision = 2.0 * threshold - 1.0
    lowest = np.where(predicted, f, np.inf).min(axis=0)
    highest = np.where(predicted, -np.inf, f).max(axis=0)
    lowest[np.isinf(lowest)] = decision
    highest[np.isinf(highest)] = decision
    separation = np.maximum(lowest - highest, _CLOSEST)
    inconsistency = _inconsistency(q, labeled_labels, threshold)
    scores: Scores = separation**-beta * (inconsistency + 1.0) ** (1.0 - beta)
    return scores


@row_wise(
    formula="Σ_l max(1 − m_l f_l, 0) = C + Σ_l f_l − 2 max_l f_l; m_l is 1 for the most probable "
    "label, else −1",
    reference=_LI_WANG_SUNG,
    tensors=(LABEL_PROBABILITIES,),
)
def max_loss(q: Tile) -> Scores:
    """Favours rows that would cost most if the most probable label were the only one.

    The loss of label j is L_j = Σ_l max(1 − m_jl f_l, 0) with m_jl = 1 for l = j, else −1. As
    |f| ≤ 1 no term is cut off at 0.
    """
    f = _decision(q)
    scores: Scores = _losses(f, f.max(axis=0))
    return scores


@row_wise(
    formula="mean over predicted labels j of C + Σ_l f_l − 2 f_j",
    reference=_LI_WANG_SUNG,
    tensors=(LABEL_PROBABILITIES,),
    parameters=(_THRESHOLD,),
)
def mean_max_loss(q: Tile, *, threshold: float) -> Scores:
    """Favours rows that would cost most if one of the predicted labels were the only one.

    The losses are those of `max_loss`. Where no label is predicted, which the paper leaves open,
    the most probable one counts as such.
    """
    f, predicted = _decision(q), q > threshold
    count = np.count_nonzero(predicted, axis=0)
    mean = np.where(predicted, f, 0.0).sum(axis=0) / np.maximum(count, 1)
    return _losses(f, np.where(count > 0, mean, f.max(axis=0)))


@whole_pool(
    formula="Σ_c (N − rank of |f_c| in the pool) / (C (N − 1)) · mean distance of the predicted "
    "label vector to the labeled ones",
    reference="Reyes, Morell & Ventura 2018, Effective active learning strategy for multi-label "
    "learning",
    tensors=(LABEL_PROBABILITIES, LABELED_LABELS),
    parameters=(_THRESHOLD,),
    time="O(C·N·log N + C·V·U), V and U the label vectors, predicted and labeled, that differ",
    memory="6·N·C + 6·L·C + 112·N",
    bytes_of=lambda s: 6 * s.N * s.C + 6 * s.L * s.C + 112 * s.N,
)
def cvirs(pool: Pool, picking: Picking, *, threshold: float) -> None:
    """Picks rows that are near the decision of many labels and unlike what is labeled.

    Rank 1 is the smallest margin |f_c|; equal ones share their mean rank. All rows are ranked,
    also those that must not be picked. For the distance see LabeledLabels.inconsistency.
    """
    if not picking.wants_more:
        return
    labeled: LabeledLabels = pool.references["labeled_labels"]
    scores = _borda(pool.probabilities) * labeled.inconsistency(pool.probabilities > threshold)
    in_order = np.argsort(-picking.worth(scores), kind="stable")
    picking.take_in_order(in_order, scores)
    picking.settle(scores)


def _borda(q: Matrix) -> Scores:
    """The share of the others that a row beats in closeness to the decision, [N], over labels."""
    rows, labels = q.shape
    beaten = np.zeros(rows)
    for column in q.T:
        margins = np.abs(2.0 * column.astype(np.float64) - 1.0)
        _, which, counts = np.unique(margins, return_inverse=True, return_counts=True)
        ranks = counts.cumsum() - (counts - 1) / 2
        beaten += rows - ranks[which]
    shares: Scores = beaten / (labels * max(rows - 1, 1))
    return shares


def _decision(q: Tile) -> Tile:
    """The decision value f: from −1, surely not, over 0 to 1, surely."""
    f: Tile = 2.0 * q
    f -= 1.0
    return f


def _inconsistency(q: Tile, labeled_labels: LabeledLabels, threshold: float) -> Scores:
    """How far the number of predicted labels is from the mean of the labeled rows."""
    predicted: npt.NDArray[np.int64] = np.count_nonzero(q > threshold, axis=0)
    difference: Scores = np.abs(predicted - labeled_labels.mean_cardinality)
    return difference


def _losses(f: Tile, of_label: Scores) -> Scores:
    """L_j = C + Σ_l f_l − 2 f_j, where `of_label` is f_j (or a mean of several)."""
    # Never negative, but for the last bit.
    losses: Scores = np.maximum(len(f) + f.sum(axis=0) - 2.0 * of_label, 0.0)
    return losses
