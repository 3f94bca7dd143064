"""How alike two rows of embeddings are, from matrix products, in their precision."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import distances
from nextlabel_server.selection.distances import Doubles, Matrix
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
_ROUNDING = 1e-6  # of e^x in float32, with room


class Similarity(Protocol):
    """A similarity of at most 1, which a row has with itself."""

    def between(self, x: Floats, y: Floats) -> Floats:
        """s(x_i, y_j), [n, m], of rows [n, D] and [m, D]."""

    def error(self, x_norms: Floats, largest_norm: float, dimensions: int) -> Doubles:
        """How far s is off at most in float32: squared norms [n] of rows, and the most of y."""


@dataclass(frozen=True, slots=True)
class Cosine:
    """<x, y>, of rows of length 1."""

    def between(self, x: Floats, y: Floats) -> Floats:
        products: Floats = x @ y.T
        return products

    def error(self, x_norms: Floats, largest_norm: float, dimensions: int) -> Doubles:
        return distances.product_error(dimensions) * (x_norms.astype(np.float64) + largest_norm)


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
        similarities = distances.squared_distances(x, y)
        with np.errstate(over="ignore"):  # of what is far away nothing is left
            similarities *= -(self.bandwidth**-2)
        np.exp(similarities, out=similarities)
        return similarities

    def error(self, x_norms: Floats, largest_norm: float, dimensions: int) -> Doubles:
        squared = distances.product_error(dimensions) * (x_norms.astype(np.float64) + largest_norm)
        return squared * self.bandwidth**-2 + _ROUNDING
