"""Predictions that are numbers. Tiles are std [n], or the members' values [M, n]."""

from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import row_wise
from nextlabel_server.selection.tensors import COMMITTEE_VALUES, STD
from nextlabel_server.selection.tiles import Tile


@row_wise(
    formula="σ",
    reference="Seo et al. 2000, Gaussian process regression: active data selection",
    tensors=(STD,),
    time="O(N)",
)
def std(sigma: Tile) -> Scores:
    """Favours rows whose predicted value is least certain."""
    return sigma.copy()


@row_wise(
    formula="var_m(y_m), without Bessel's correction",
    reference="Krogh & Vedelsby 1995, Neural network ensembles and active learning",
    tensors=(COMMITTEE_VALUES,),
    time="O(N·M)",
)
def variance_of_members(values: Tile) -> Scores:
    """Favours rows where the members of a committee predict different values."""
    scores: Scores = values.var(axis=0)
    return scores
