"""How far rows of embeddings are from the nearest centre, in the way that drawing rows needs it."""

from collections.abc import Callable

import numpy as np

from nextlabel_server.selection.distances import Cover, Doubles, Matrix, exact_squared
from nextlabel_server.selection.draws import Spread
from nextlabel_server.selection.ranking import Rows


class EmbeddingSpread:
    """Squared distances of rows x [N, D] to the nearest of the centres, a `draws.Spread`.

    `labeled` [L, D] are centres from the start; `check` is called now and then.
    """

    def __init__(
        self, x: Matrix, check: Callable[[], object], labeled: Matrix | None = None
    ) -> None:
        self._cover = Cover(x, check)
        self._counted = 0
        if labeled is not None:
            self._cover.add(labeled)

    def add_rows(self, rows: list[int]) -> None:
        self._cover.add(self._cover.x[rows])
        self._counted += len(rows)

    def upper_bounds(self) -> Doubles:
        return self._cover.upper_bounds()

    def exact(self, rows: Rows, centers: list[int]) -> Doubles:
        squared = self._cover.exact(rows)
        x = self._cover.x
        for center in centers[self._counted :]:
            np.minimum(squared, exact_squared(x[rows], x[center]), out=squared)
        return squared


class WeightedSpread:
    """The squared distances of another spread, each times its row's weight [N], at least 0."""

    def __init__(self, spread: Spread, weights: Doubles) -> None:
        self._spread = spread
        self._weights = weights

    def add_rows(self, rows: list[int]) -> None:
        self._spread.add_rows(rows)

    def upper_bounds(self) -> Doubles:
        return self._spread.upper_bounds() * self._weights

    def exact(self, rows: Rows, centers: list[int]) -> Doubles:
        return self._spread.exact(rows, centers) * self._weights[rows]
