"""How alike two rows of embeddings are, from matrix products, in their precision."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import distances
from nextlabel_server.selection.distances import Matrix
from nextlabel_server.selection.parameters import Parameter

Floats = npt.NDArray[np.floating]

SIMILARITY = Parameter(
    "similarity",
    str,
    "cosine, or rbf for the kernel e^(−d²/h²) of Euclidean distances.",
    default="cosine",
    choices=("cosine", "rbf"),
)
BANDWIDTH = Parameter(
    "bandwidth",
    float,
    "h of the kernel e^(−d²/h²), no narrower than 1e-15. 0: the root mean squared distance of the "
    "pool's rows.",
    default=0.0,
    minimum=0,
)
_MANY = 32  # rows with which products take longer than a copy of the others
_NARROWEST = 1e-15  # 1/h² fits into float32
_ROUNDING = 6 * float(np.finfo(np.float32).eps)  # of e^x and a threshold, in float32, with room


class Similarity(Protocol):
    """A similarity of at most 1, which a row has with itself."""

    def between(self, x: Floats, y: Floats) -> Floats:
        """s(x_i, y_j), [n, m], of rows [n, D] and [m, D]."""

    def above(self, x: Matrix, y: Matrix, thresholds: Floats, lean: int) -> Matrix:
        """s(x_i, y_j) − t_j, [n, m], in float32, given t [m] from 0 to 1.

        None is above the true number with a `lean` of −1, and none below with 1.
        """


@dataclass(frozen=True, slots=True)
class Cosine:
    """<x, y>, of rows of length 1."""

    def between(self, x: Floats, y: Floats) -> Floats:
        products: Floats = x @ y.T
        return products

    def above(self, x: Matrix, y: Matrix, thresholds: Floats, lean: int) -> Matrix:
        offsets = (lean * distances.product_error(x.shape[1]) / 2 - thresholds).astype(np.float32)
        products: Matrix
        if len(x) < _MANY:
            products = x @ y.T
            return np.add(products, offsets, out=products)
        # One column more, and only the product goes through all pairs.
        left = np.empty((len(x), x.shape[1] + 1), np.float32)
        right = np.empty((len(y), y.shape[1] + 1), np.float32)
        left[:, :-1], left[:, -1] = x, 1
        right[:, :-1], right[:, -1] = y, offsets
        products = left @ right.T
        return products


@dataclass(frozen=True, slots=True)
class Gaussian:
    """e^(−d²/h²)."""

    bandwidth: float

    @classmethod
    def fit(cls, bandwidth: float, x: Matrix) -> "Gaussian":
        """With that h, or where it is 0 the root mean squared distance of rows x [N, D]."""
        # Where all rows are the same any h will do.
        bandwidth = bandwidth or float(np.sqrt(2 * distances.variance(x))) or 1.0
        return cls(max(bandwidth, _NARROWEST))

    def between(self, x: Floats, y: Floats) -> Floats:
        return self._of_squared(distances.squared_distances(x, y))

    def above(self, x: Matrix, y: Matrix, thresholds: Floats, lean: int) -> Matrix:
        # Off by a share of both squared norms, which is taken from them or added.
        error = distances.product_error(x.shape[1])
        share = np.float32(1 - lean * error)
        similarities: Matrix
        if len(x) < _MANY:
            norms = distances.squared_norms(x) * share, distances.squared_norms(y) * share
            similarities = self._of_squared(distances.squared_distances(x, y, *norms))
        else:
            left, right = distances.factors(x, y)
            left[:, -2] *= share
            right[:, -1] *= share
            largest = left[:, -2].max(initial=0) + right[:, -1].max(initial=0)
            if largest * error * self.bandwidth**-2 < 1:
                # No exponent is far above 0: only the product and e^x go through all pairs.
                left *= -(self.bandwidth**-2)
                similarities = left @ right.T
                np.exp(similarities, out=similarities)
            else:
                similarities = self._of_squared(np.maximum(left @ right.T, 0))
        similarities -= (thresholds - lean * _ROUNDING).astype(np.float32)
        return similarities

    def _of_squared(self, squared: Floats) -> Floats:
        """In the place of squared distances."""
        with np.errstate(over="ignore"):  # of what is far away nothing is left
            squared *= -(self.bandwidth**-2)
        return np.exp(squared, out=squared)
