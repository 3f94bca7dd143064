"""How unsure one probability vector is. Tiles are classes first: p is [C, n]."""

import numpy as np

from nextlabel_server.selection import numerics
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import row_wise
from nextlabel_server.selection.tensors import PROBABILITIES
from nextlabel_server.selection.tiles import Tile

_EPS = 2.0**-23  # float32


def _normalize(factor: str) -> Parameter:
    return Parameter(
        "normalize",
        bool,
        f"Scale to [0, 1] by {factor}, so that pools with different numbers of classes compare.",
        default=False,
    )


def _few_roundings(_classes: int) -> float:
    """Of one or two differences or quotients of values that float32 has, at most doubled."""
    return 8 * _EPS


@row_wise(
    formula="1 − p(1)",
    reference="Lewis & Gale 1994, A sequential algorithm for training text classifiers",
    tensors=(PROBABILITIES,),
    parameters=(_normalize("C/(C − 1)"),),
    float32_error=_few_roundings,
)
def least_confidence(p: Tile, *, normalize: bool) -> Scores:
    """Favours rows whose most probable class has little probability."""
    scores: Scores = 1.0 - p.max(axis=0)
    classes = len(p)
    return scores * (classes / (classes - 1)) if normalize and classes > 1 else scores


@row_wise(
    formula="1 − (p(1) − p(2))",
    reference="Scheffer, Decomain & Wrobel 2001, Active hidden Markov models",
    tensors=(PROBABILITIES,),
    min_classes=2,
    float32_error=_few_roundings,
)
def margin(p: Tile) -> Scores:
    """Favours rows whose two most probable classes are close."""
    first, second = _top_two(p)
    return 1.0 - (first - second)


@row_wise(
    formula="p(2) / p(1)",
    reference="Settles 2009, Active learning literature survey",
    tensors=(PROBABILITIES,),
    min_classes=2,
    float32_error=_few_roundings,
)
def ratio(p: Tile) -> Scores:
    """Favours rows whose second most probable class is nearly as probable as the first."""
    first, second = _top_two(p)
    return second / first


def _collision_limit(bar: float, classes: int, total: float, *, normalize: bool) -> float:
    """The largest Σ p² of a row whose entropy can be as much as the bar.

    Of all probability vectors with the same Σ p², one with a large probability and the others
    alike has the most entropy (Harremoës & Topsøe 2001, Inequalities between entropy and index of
    coincidence). A row that sums to t and not to 1 has t·H(p/t) − t·ln t, and t is at most
    `total`, and as much below 1 at least.
    """
    if normalize and classes > 1:
        bar *= np.log(classes)
    return total**2 * numerics.largest_collision((bar - (total - 1)) / total, classes)


@row_wise(
    formula="−Σ_c p_c ln p_c",
    reference="Settles 2009, Active learning literature survey; Shannon 1948",
    tensors=(PROBABILITIES,),
    parameters=(_normalize("1/ln C"),),
    float32_error=numerics.entropy_float32_error,
    collision_limit=_collision_limit,
)
def entropy(p: Tile, *, normalize: bool) -> Scores:
    """Favours rows whose probability is spread over many classes."""
    scores: Scores = numerics.entropy(p)
    classes = len(p)
    return scores / np.log(classes) if normalize and classes > 1 else scores


@row_wise(
    formula="1 − Σ_c p_c²",
    reference="Feng et al. 2020, DeepGini, arXiv:1903.00661",
    tensors=(PROBABILITIES,),
    float32_error=lambda classes: (classes + 8) * _EPS,  # a sum of as many squares
    collision_limit=lambda bar, _classes, _total: 1 - bar,
)
def gini(p: Tile) -> Scores:
    """Favours rows where two draws from p would often disagree."""
    scores: Scores = 1.0 - np.einsum("cn,cn->n", p, p)
    return scores


def _top_two(p: Tile) -> tuple[Tile, Tile]:
    """The largest and second largest value of each column."""
    if p.flags.c_contiguous or p.strides[1] < p.strides[0]:
        first = p[0].copy()
        second = np.full_like(first, -np.inf)
        smaller = np.empty_like(first)
        for row in p[1:]:
            np.minimum(first, row, out=smaller)
            np.maximum(second, smaller, out=second)
            np.maximum(first, row, out=first)
        return first, second
    rows = np.arange(p.shape[1])
    where = p.argmax(axis=0)
    first = p[where, rows]
    others = p.copy(order="K")
    others[where, rows] = -np.inf
    return first, others.max(axis=0)
