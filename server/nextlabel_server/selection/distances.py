"""Distances between rows of embeddings, by matrix products, in blocks of bounded size.

Products are float32: fast, and off by a known bound. What has to be exact is settled in float64
among the few rows that the bound leaves over.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import sharing

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

BLOCK_ELEMENTS = 1 << 20
_PRODUCT_ELEMENTS = 1 << 18  # 1 MiB: they are gone through three times while in the cache
_COLUMNS = 1024
_LEAST_NORM = float(np.finfo(np.float32).tiny)  # smaller numbers have fewer digits
_CLOSE = 1e-9  # below this share of the norms, a float64 product has too few digits left


def blocks(rows: int, width: int, elements: int = BLOCK_ELEMENTS) -> Iterator[slice]:
    """Cuts rows so that a block with `width` columns stays in the cache."""
    step = max(1, elements // max(1, width))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def each_two(blocks: Sequence[slice]) -> Iterator[tuple[slice, slice]]:
    """Each block with itself and those that come later, in order of both."""
    return ((some, others) for number, some in enumerate(blocks) for others in blocks[number:])


def ones(count: int) -> Vector:
    """[count]; a product with it is the quickest sum of rows or columns."""
    return np.ones(count, dtype=np.float32)


def squared_norms(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """|x_i|² of each row, [n]."""
    norms: npt.NDArray[np.floating] = np.einsum("nd,nd->n", x, x)
    return norms


def squared_distances(
    x: npt.NDArray[np.floating],
    y: npt.NDArray[np.floating],
    x_norms: npt.NDArray[np.floating] | None = None,
    y_norms: npt.NDArray[np.floating] | None = None,
) -> npt.NDArray[np.floating]:
    """|x_i − y_j|², [n, m], at least 0, of rows x [n, D] and y [m, D], in their precision."""
    products = x @ y.T
    products *= -2
    products += (squared_norms(x) if x_norms is None else x_norms)[:, None]
    products += squared_norms(y) if y_norms is None else y_norms
    return np.maximum(products, 0, out=products)


def product_error(dimensions: int) -> float:
    """How far float32 squared distances from products are off at most, a share of |x|² + |y|².

    A product of so many terms, and the three roundings around it. For |x|² + |y|² that are large
    enough for float32 to have all its digits; see `product_errors`.
    """
    return 4 * (dimensions + 8) * float(np.finfo(np.float32).eps)


def product_errors(
    dimensions: int, norms: npt.NDArray[np.floating] | float
) -> npt.NDArray[np.floating]:
    """How far float32 squared distances from products are off at most, given all |x|² + |y|²."""
    errors: npt.NDArray[np.floating] = product_error(dimensions) * (np.asarray(norms) + _LEAST_NORM)
    return errors


def exact_squared(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Doubles:
    """|x_i − y|² in float64 from differences: [n] of rows x [n, D] and one y [D] (or y [n, D])."""
    differences = np.subtract(x, y, dtype=np.float64)
    squares: Doubles = np.einsum("nd,nd->n", differences, differences)
    return squares


def between(x: Matrix, y: Matrix) -> Doubles:
    """d(x_i, y_j) in float64, [n, m]: from products, and from differences where rows are close."""
    norms = squared_norms(x.astype(np.float64))
    squared = squared_distances(x.astype(np.float64), y.astype(np.float64), norms)
    rows, columns = np.nonzero(squared <= _CLOSE * norms[:, None])
    for some in blocks(len(rows), x.shape[1]):
        squared[rows[some], columns[some]] = exact_squared(x[rows[some]], y[columns[some]])
    found: Doubles = np.sqrt(squared)
    return found


def nearest_to_mean(x: npt.NDArray[np.floating], among: npt.NDArray[np.bool_]) -> tuple[int, float]:
    """Which of some rows of x [N, D] is nearest the mean of all, and its distance from it."""
    mean = x.mean(axis=0, dtype=np.float64)
    squared = np.concatenate([exact_squared(x[rows], mean) for rows in blocks(*x.shape)])
    row = int(np.where(among, squared, np.inf).argmin())
    return row, float(np.sqrt(squared[row]))


def variance(x: Matrix) -> float:
    """Mean |x_i − mean|² over the rows, N ≥ 1: half the mean squared distance of two rows."""
    mean = x.mean(axis=0, dtype=np.float64)
    sums = [exact_squared(x[rows], mean).sum() for rows in blocks(len(x), x.shape[1])]
    return float(sum(sums)) / len(x)


class Cover:
    """How far each row is from the nearest of the centres that were added so far.

    Attributes:
        x: [N, D] float32, the rows.
        nearest: [N] float32, the squared distance to the nearest centre; infinite without one.

    `check` is called now and then.
    """

    def __init__(self, x: Matrix, check: Callable[[], object]) -> None:
        self.x = x
        self._check = check
        self.nearest = np.full(len(x), np.inf, dtype=np.float32)
        self._norms = squared_norms(x)
        self._centers = np.empty((0, x.shape[1]), dtype=np.float32)

    def add(self, centers: Matrix) -> None:
        """Takes more centres into account: a matrix product a block of rows."""
        for some in blocks(len(centers), _PRODUCT_ELEMENTS // _COLUMNS, _PRODUCT_ELEMENTS):
            cover = partial(self._cover, squared_norms(centers[some]), -2 * centers[some].T)
            sharing.each(cover, blocks(len(self.x), some.stop - some.start, _PRODUCT_ELEMENTS))
        self._centers = np.concatenate([self._centers, centers])

    def _cover(self, norms: Matrix, doubled: Matrix, rows: slice) -> None:
        self._check()
        # |c|² − 2·<x, c> is least where |x − c|² is: |x|² is added for that one alone.
        products = self.x[rows] @ doubled
        products += norms
        squared = np.maximum(products.min(axis=1) + self._norms[rows], 0)
        np.minimum(self.nearest[rows], squared, out=self.nearest[rows])

    def upper_bounds(self) -> Doubles:
        """What no true squared distance to the nearest centre is above, [N].

        The product with a centre c is off by a share of |x|² + |c|²; for the nearest centre
        |c|² is at most twice |x|² and the squared distance together.
        """
        nearest = self.nearest.astype(np.float64)
        bounds: Doubles = nearest + product_errors(self.x.shape[1], nearest + self._norms)
        return bounds

    def exact(self, rows: npt.NDArray[np.int64]) -> Doubles:
        """The squared distances of some rows to their nearest centres, in float64."""
        x = self.x[rows].astype(np.float64)
        nearest = np.full(len(rows), np.inf)
        which = np.zeros(len(rows), dtype=np.int64)
        for some in blocks(len(self._centers), max(1, len(rows))):
            squared = squared_distances(x, self._centers[some].astype(np.float64))
            columns = squared.argmin(axis=1)
            values = squared[np.arange(len(rows)), columns]
            closer = values < nearest
            nearest[closer], which[closer] = values[closer], columns[closer] + some.start
        close = nearest <= _CLOSE * squared_norms(x)
        nearest[close] = exact_squared(x[close], self._centers[which[close]])
        return nearest
