"""Sequences of tokens: an item is a sequence, its parts are tokens. Tiles are p [C, n]."""

from dataclasses import replace

from nextlabel_server.selection import numerics
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import row_wise
from nextlabel_server.selection.tensors import ITEM_OFFSETS, PROBABILITIES
from nextlabel_server.selection.tiles import Tile


@row_wise(
    formula="reduce over tokens (by default the mean) of −ln p(1)",
    reference="Shen et al. 2017, arXiv:1707.05928",
    tensors=(PROBABILITIES, replace(ITEM_OFFSETS, required=True)),
    aliases=("maximum_normalized_log_probability",),
)
def mnlp(p: Tile) -> Scores:
    """Favours sequences whose most probable labeling has little probability for its length.

    Each token's most probable label is its own; a CRF's best path is not searched for.
    """
    return 0.0 - numerics.log(p.max(axis=0))
