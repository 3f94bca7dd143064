"""What every other strategy has to beat."""

import numpy as np

from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import row_wise


@row_wise(
    formula="u ~ U(0, 1)",
    reference="the baseline of every comparison",
    tensors=(),
    stochastic=True,
    time="O(N)",
)
def random(rng: np.random.Generator, row_count: int) -> Scores:
    """Ranks the rows in random order; needs no tensor, only the number of rows."""
    return rng.random(row_count)
