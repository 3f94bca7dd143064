"""How much the members of a committee, or Monte-Carlo passes, disagree. Tiles are p [M, C, n]."""

import math

import numpy as np

from nextlabel_server.selection import numerics
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import row_wise
from nextlabel_server.selection.tensors import COMMITTEE
from nextlabel_server.selection.tiles import Tile

_TIME = "O(N·M·C)"


def _consensus_error(members: int, classes: int) -> float:
    """Of the entropy of p̄, each of whose probabilities has the relative error of M sums."""
    of_mean = 2 * (members + 2) * 2.0**-23 * (1 + math.log(classes))
    return of_mean + numerics.entropy_float32_error(classes)


def _information_error(members: int, classes: int) -> float:
    """Of the entropy of p̄, and of the mean of M entropies."""
    return 2 * _consensus_error(members, classes)


@row_wise(
    formula="H(v), v_c the share of members whose largest probability is that of c",
    reference="Dagan & Engelson 1995, Committee-based sampling for training classifiers",
    tensors=(COMMITTEE,),
    time=_TIME,
)
def vote_entropy(p: Tile) -> Scores:
    """Favours rows where the members' votes are spread; the lowest class wins a member's tie."""
    return numerics.entropy(_votes(p))


@row_wise(
    formula="H(p̄)",
    reference="Settles 2009, Active learning literature survey",
    tensors=(COMMITTEE,),
    time=_TIME,
    float32_error=_consensus_error,
)
def consensus_entropy(p: Tile) -> Scores:
    """Favours rows where the members' mean probability is spread over many classes."""
    return numerics.entropy(p.mean(axis=0))


@row_wise(
    formula="H(p̄) − mean_m H(p_m) = mean_m KL(p_m ‖ p̄)",
    reference="Houlsby et al. 2011, arXiv:1112.5745; McCallum & Nigam 1998",
    tensors=(COMMITTEE,),
    aliases=("average_kl",),
    time=_TIME,
    float32_error=_information_error,
)
def bald(p: Tile) -> Scores:
    """Favours rows where members are sure, each of something else: mutual information."""
    mean_entropy = numerics.entropy(np.moveaxis(p, 1, 0)).mean(axis=0)
    # Never negative, but for the last bit of two sums that are equal.
    scores: Scores = np.maximum(numerics.entropy(p.mean(axis=0)) - mean_entropy, 0.0)
    return scores


@row_wise(
    formula="max_m KL(p_m ‖ p̄)",
    reference="Engelson & Dagan 1996; the largest in place of the mean",
    tensors=(COMMITTEE,),
    time=_TIME,
)
def max_kl(p: Tile) -> Scores:
    """Favours rows where one member is far from the consensus."""
    consensus = numerics.log(p.mean(axis=0))
    terms = numerics.log(p)
    terms -= consensus
    terms *= p
    scores: Scores = np.maximum(terms.sum(axis=1).max(axis=0), 0.0)
    return scores


@row_wise(
    formula="1 − max_c v_c",
    reference="Freeman 1965, Elementary applied statistics",
    tensors=(COMMITTEE,),
    time=_TIME,
)
def variation_ratio(p: Tile) -> Scores:
    """Favours rows where many members vote against the most voted class."""
    scores: Scores = 1.0 - _votes(p).max(axis=0)
    return scores


@row_wise(
    formula="mean_c std_m(p_mc), without Bessel's correction",
    reference="Kampffmeyer et al. 2016, Semantic segmentation of small objects",
    tensors=(COMMITTEE,),
    time=_TIME,
)
def mean_std(p: Tile) -> Scores:
    """Favours rows where the members' probabilities of a class differ."""
    scores: Scores = p.std(axis=0).mean(axis=0)
    return scores


def _votes(p: Tile) -> Tile:
    """The share of members that vote for each class, [C, n].

    Not by argmax, which takes five times as long over the classes of many short vectors.
    """
    members, _, rows = p.shape
    largest = p == p.max(axis=1, keepdims=True)
    if np.count_nonzero(largest) > members * rows:
        largest &= largest.cumsum(axis=1) == 1
    votes: Tile = largest.sum(axis=0) / members
    return votes
