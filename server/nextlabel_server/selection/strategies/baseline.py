"""What every other strategy has to beat."""

from dataclasses import replace

import numpy as np

from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import row_wise
from nextlabel_server.selection.tensors import ITEM_OFFSETS


@row_wise(
    formula="u ~ U(0, 1)",
    reference="the baseline of every comparison",
    tensors=(replace(ITEM_OFFSETS, parameters=()),),  # items are drawn, not their parts
    stochastic=True,
    time="O(N)",
)
def random(rng: np.random.Generator, row_count: int) -> Scores:
    """Ranks the rows, or items, in random order; needs only their number."""
    return rng.random(row_count)
