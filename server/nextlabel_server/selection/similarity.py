"""How alike two rows of embeddings are, from matrix products, in their precision."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import distances, moments, sharing
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
TOGETHER = 1000
"""Rows, at most, that are compared with as many others at once, when all are: 4 MB."""
_COPIED = 1 << 19  # numbers of rows
_QUICK = 1 / 64  # of the rows, as dimensions: with more, moments take long beside all pairs
_NARROWEST = 1e-15  # 1/h² fits into float32
_ROUNDING = 6 * float(np.finfo(np.float32).eps)  # of e^x and a threshold, in float32, with room


Found = TypeVar("Found")

Comparison = Callable[[Matrix], Matrix]
"""Of sides of rows x_i [n, K]: (s(x_i, y_j) − t_j) / w_j, [n, m], in float32."""


class Similarity(Protocol):
    """A similarity of at most 1, which a row has with itself.

    What is in float32 is never above the true number with a `lean` of −1, and never below with 1.
    """

    def between(self, x: Floats, y: Floats) -> Floats:
        """s(x_i, y_j), [n, m], of rows [n, D] and [m, D]."""

    def above(self, x: Matrix, y: Matrix, y_norms: Matrix, thresholds: Floats, lean: int) -> Matrix:
        """s(x_i, y_j) − t_j, [n, m], in float32, given |y_j|² [m] and t [m] from 0 to 1."""

    def side(self, x: Matrix) -> Matrix:
        """Rows [n, D] as a comparison wants them, with more columns."""

    def against(
        self, y: Matrix, thresholds: Floats, lean: int, widths: Matrix | None = None
    ) -> Comparison:
        """A comparison with rows y [m, D], given t [m] from 0 to 1, and w [m] if it is not 1.

        Quicker than `above` for many rows: little but a product goes through all pairs.
        """

    def closeness(self, y: Matrix) -> Comparison:
        """Of sides of rows x_i [n, K]: what grows with s(x_i, y_j), or is a little more, [n, m]."""

    def close(self, similarities: Doubles) -> Matrix:
        """What closeness is not below where rows are so similar, [n]."""

    def of_closeness(self, closeness: Matrix) -> Matrix:
        """Similarities, or a little more, in its place."""

    def rough_gains(
        self, x: Matrix, served: Doubles, check: Callable[[], object]
    ) -> Doubles | None:
        """What Σ_i max(s_ij − served_i, 0) is not above, [N]; None where only all pairs tell."""


@dataclass(frozen=True, slots=True)
class Cosine:
    """<x, y>, of rows of length 1."""

    def between(self, x: Floats, y: Floats) -> Floats:
        products: Floats = x @ y.T
        return products

    def above(self, x: Matrix, y: Matrix, y_norms: Matrix, thresholds: Floats, lean: int) -> Matrix:
        del y_norms  # they are 1
        products = _products(x, y)
        products += (lean * self._error(y) - thresholds).astype(np.float32)
        return products

    def side(self, x: Matrix) -> Matrix:
        side = np.empty((len(x), x.shape[1] + 1), np.float32)
        side[:, :-1], side[:, -1] = x, 1
        return side

    def against(
        self, y: Matrix, thresholds: Floats, lean: int, widths: Matrix | None = None
    ) -> Comparison:
        other = np.empty((len(y), y.shape[1] + 1), np.float32)
        other[:, :-1], other[:, -1] = y, lean * self._error(y) - thresholds
        if widths is not None:
            other /= widths[:, None]
        return lambda side: _products(side, other)

    def closeness(self, y: Matrix) -> Comparison:
        return self.against(y, np.zeros(len(y)), 1)

    def close(self, similarities: Doubles) -> Matrix:
        return just_below(similarities)

    def of_closeness(self, closeness: Matrix) -> Matrix:
        return closeness

    def rough_gains(
        self, x: Matrix, served: Doubles, check: Callable[[], object]
    ) -> Doubles | None:
        del x, served, check  # moments of cosines say little: all rows gain about the same
        return None

    def _error(self, y: Matrix) -> float:
        return distances.product_error(y.shape[1]) / 2


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

    def above(self, x: Matrix, y: Matrix, y_norms: Matrix, thresholds: Floats, lean: int) -> Matrix:
        share, scale = self._share(y, lean), self._scale
        x_norms: Matrix = distances.squared_norms(x) * share
        y_norms = y_norms * share
        similarities: Floats
        if self._small(y, x_norms, y_norms):
            similarities = _products(x * (-2 * scale), y)
            similarities += scale * x_norms[:, None]
            similarities += scale * y_norms
            np.exp(similarities, out=similarities)
        else:
            similarities = self._of_squared(distances.squared_distances(x, y, x_norms, y_norms))
        found: Matrix = np.subtract(similarities, self._leaning(thresholds, lean), out=similarities)
        return found

    def side(self, x: Matrix) -> Matrix:
        side = np.empty((len(x), x.shape[1] + 2), np.float32)
        side[:, :-2], side[:, -2], side[:, -1] = x, distances.squared_norms(x), 1
        return side

    def against(
        self, y: Matrix, thresholds: Floats, lean: int, widths: Matrix | None = None
    ) -> Comparison:
        exponents = self._exponents(y, lean)
        leaning = self._leaning(thresholds, lean)
        narrow = None if widths is None else 1 / widths

        def compare(side: Matrix) -> Matrix:
            similarities = exponents(side)
            np.exp(similarities, out=similarities)
            similarities -= leaning
            if narrow is not None:
                similarities *= narrow
            return similarities

        return compare

    def closeness(self, y: Matrix) -> Comparison:
        return self._exponents(y, 1)

    def close(self, similarities: Doubles) -> Matrix:
        with np.errstate(divide="ignore"):  # nothing is as far as what is not similar at all
            return just_below(np.log(similarities))

    def of_closeness(self, closeness: Matrix) -> Matrix:
        similarities: Matrix = np.exp(closeness, out=closeness)
        similarities += np.float32(_ROUNDING)
        return similarities

    def _exponents(self, y: Matrix, lean: int) -> Comparison:
        """−d²/h², with the opposite lean of d², from |x|² + |y|² − 2·<x, y> as one product."""
        share, norms = self._share(y, lean), distances.squared_norms(y)
        other = np.empty((len(y), y.shape[1] + 2), np.float32)
        np.multiply(y, -2, out=other[:, :-2])
        other[:, -2], other[:, -1] = share, share * norms
        scaled = other * self._scale if self._small(y, norms) else other

        def compare(side: Matrix) -> Matrix:
            if self._small(y, norms, side[:, -2]):
                return _products(side, scaled)  # a little above 0 at most
            return self._scaled(np.maximum(_products(side, other), 0))

        return compare

    def rough_gains(
        self, x: Matrix, served: Doubles, check: Callable[[], object]
    ) -> Doubles | None:
        quick = x.shape[1] <= _QUICK * len(x)
        return moments.gain_bounds(x, self.bandwidth, served, check) if quick else None

    @property
    def _scale(self) -> np.float32:
        return np.float32(-(self.bandwidth**-2))

    def _small(self, y: Matrix, *norms: Matrix) -> bool:
        """Whether exponents of rows with such squared norms cannot be rounded far above 0."""
        largest = sum(float(each.max(initial=0)) for each in norms)
        return largest * distances.product_error(y.shape[1]) * self.bandwidth**-2 < 1

    def _share(self, y: Matrix, lean: int) -> np.float32:
        """Of squared norms: what makes squared distances lean, which are off by as much."""
        return np.float32(1 - lean * distances.product_error(y.shape[1]))

    def _leaning(self, thresholds: Floats, lean: int) -> Matrix:
        """Thresholds that make up for the rounding of e^x and their own."""
        return (thresholds - lean * _ROUNDING).astype(np.float32)

    def _scaled(self, squared: Floats) -> Floats:
        """−d²/h², in the place of squared distances."""
        with np.errstate(over="ignore"):  # of what is far away nothing is left
            squared *= -(self.bandwidth**-2)
        return squared

    def _of_squared(self, squared: Floats) -> Floats:
        """In the place of squared distances."""
        return np.exp(self._scaled(squared), out=squared)


def compare_all(
    x: Matrix,
    similarity: Similarity,
    use: Callable[[slice, slice, Matrix], Found],
    check: Callable[[], object],
) -> Iterator[tuple[slice, slice, Found]]:
    """Compares rows x [N, D] with each other, each two once, in blocks.

    Args:
        x: the rows.
        similarity: of them.
        use: what is wanted of some rows and others, given the closeness of others and some.
        check: called before each block.

    Yields:
        some rows, others that are the same or come later, and that; in order of both.
    """

    def compare(piece: tuple[slice, slice]) -> tuple[slice, slice, Found]:
        check()
        some, others = piece
        closeness = similarity.closeness(x[some])
        return some, others, use(some, others, closeness(similarity.side(x[others])))

    blocks = list(distances.blocks(len(x), 1, at_most(TOGETHER, x)))
    yield from sharing.results(compare, distances.each_two(blocks))


def at_most(rows: int, x: Matrix) -> int:
    """So many rows of x [N, D], or as many as are not too large to be copied."""
    return max(1, min(rows, _COPIED // int(x.shape[1])))


def just_below(numbers: Doubles) -> Matrix:
    """A float32 that is less, and near it, for each number."""
    below: Matrix = np.nextafter(numbers.astype(np.float32), np.float32(-np.inf))
    return below


def _products(x: Matrix, y: Matrix) -> Matrix:
    """<x_i, y_j>, [n, m]: with the more rows first, which takes a third less for a few others."""
    products: Matrix = x @ y.T if len(x) >= len(y) else (y @ x.T).T
    return products
