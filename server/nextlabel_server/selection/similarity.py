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
_NARROWEST = 1e-15  # 1/h² fits into float32
_ROUNDING = 4 * float(np.finfo(np.float32).eps)  # of e^x in float32, with room


class Similarity(Protocol):
    """A similarity of at most 1, which a row has with itself."""

    def between(self, x: Floats, y: Floats, lean: int = 0) -> Floats:
        """s(x_i, y_j), [n, m], of rows [n, D] and [m, D].

        In float32, with `lean` −1 or 1, no similarity is above or below the true one.
        """


@dataclass(frozen=True, slots=True)
class Cosine:
    """<x, y>, of rows of length 1."""

    def between(self, x: Floats, y: Floats, lean: int = 0) -> Floats:
        products: Floats = x @ y.T
        if lean:
            # Of the products alone: nothing is taken from anything.
            products += lean * distances.product_error(x.shape[1]) / 2
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

    def between(self, x: Floats, y: Floats, lean: int = 0) -> Floats:
        similarities = (
            self._squared_distances(x, y, lean) if lean else distances.squared_distances(x, y)
        )
        with np.errstate(over="ignore"):  # of what is far away nothing is left
            similarities *= -(self.bandwidth**-2)
        np.exp(similarities, out=similarities)
        if lean:
            similarities *= 1 + lean * _ROUNDING
        return similarities

    @staticmethod
    def _squared_distances(x: Floats, y: Floats, lean: int) -> Floats:
        """Off by a share of both squared norms, which is taken from them or added."""
        left, right = distances.factors(x, y)
        share = 1 - lean * distances.product_error(x.shape[1])
        left[:, -2] *= share
        right[:, -1] *= share
        squared: Floats = left @ right.T
        return np.maximum(squared, np.zeros(len(y), y.dtype), out=squared)
