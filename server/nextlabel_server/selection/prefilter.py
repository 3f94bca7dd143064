"""Keeping only the best rows of a pool, before a strategy that needs all of what it is given."""

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import ranking
from nextlabel_server.selection.ranking import Rows, Scores
from nextlabel_server.selection.registry import Strategy
from nextlabel_server.selection.tensors import PROBABILITIES


@dataclass(frozen=True, slots=True)
class Prefilter:
    """Keeps the `factor` · B best rows by the scores of a row-wise strategy.

    Raises:
        InvalidRequest: a strategy that is not row-wise on probabilities alone, or a factor
            below 1.
    """

    strategy: Strategy
    factor: float

    def __post_init__(self) -> None:
        required = [p.name for p in self.strategy.own_parameters if p.default is None]
        pool = [tensor for tensor in self.strategy.tensors if tensor.rows == "pool"]
        alone = pool == [PROBABILITIES] and not any(t.required for t in self.strategy.references)
        if self.strategy.kind != "row_wise" or not alone or required:
            raise InvalidRequest(
                "prefilter.strategy",
                f"found {self.strategy.name}; one that scores a row by its probabilities alone, "
                "such as margin, is right",
            )
        if not 1 <= self.factor < math.inf:
            raise InvalidRequest("prefilter.factor", f"found {self.factor:g}; at least 1 is right")

    def rows(self, scores: Scores, wanted: int, excluded: Rows) -> Rows:
        """The rows that are kept, ascending: of [N] scores, without the excluded rows."""
        eligible = np.ones(len(scores), dtype=np.bool_)
        eligible[excluded] = False
        # As it is written: 1.1 times 50 is 55, though the product of the floats is a little more.
        count = min(math.ceil(Decimal(repr(self.factor)) * wanted), len(scores))
        return np.sort(ranking.top(scores, count, eligible))
