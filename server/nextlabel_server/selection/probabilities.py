"""From the rows of a block to validated float64 tiles that fit in the cache.

A tile has its classes first, [C, n]: a strategy reduces over axis 0. For few classes the
memory is laid out that way too, so that a reduction runs along contiguous rows; for many it
stays row-major and the tile is a transposed view, where each reduction is contiguous in its
row. Tiles are padded to a multiple of 16 columns, so that a row's score has the same bits
wherever in a block it stands: numpy and BLAS would otherwise treat a lone column in another
way, and equal rows would not tie.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import InvalidRequest

Floats: TypeAlias = npt.NDArray[np.floating]
Tile: TypeAlias = npt.NDArray[np.float64]
Activation: TypeAlias = Literal["none", "softmax", "sigmoid"]

TILE_ELEMENTS = 32 * 1024  # 256 KiB of float64: a tile and its work arrays stay in the L2 cache
MAX_TILE_ROWS = 8192
FEW_CLASSES = 64
PADDING = 16
FP16_EXTRA_TOLERANCE = 0.004


@dataclass(frozen=True, slots=True)
class ProbabilityReader:
    """Reads blocks [n, C] of FP16, FP32 or FP64 as probabilities.

    `activation` is none, softmax or sigmoid; `tolerance` bounds how far from 1 a row may sum;
    `renormalize` divides by the sum instead; `name` is how errors call the tensor.
    """

    activation: Activation
    tolerance: float
    renormalize: bool
    name: str = "probabilities"

    def classes(self, columns: int) -> int:
        """The number of classes that `columns` columns hold."""
        return 2 if self.activation == "sigmoid" and columns == 1 else columns

    def tiles(self, block: Floats, first_row: int) -> Iterator[tuple[slice, Tile]]:
        """Cuts a block into tiles, each with the rows of the block that it holds.

        A tile may be wider than its rows: what stands in the columns beyond them is padding.
        Its memory is reused: it is good until the next one, and free to write into.

        Raises:
            InvalidRequest: naming the first row (counted from `first_row`) that is not a
                probability vector, or not finite.
        """
        rows, columns = block.shape
        classes = self.classes(columns)
        few = classes <= FEW_CLASSES
        height = min(MAX_TILE_ROWS, TILE_ELEMENTS // classes, rows)
        height = max(PADDING, -(-height // PADDING) * PADDING)
        memory = np.empty((classes, height) if few else (height, classes))
        for start in range(0, rows, height):
            raw = block[start : start + height]
            count = len(raw)
            width = -(-count // PADDING) * PADDING
            tile = memory[:, :width] if few else memory[:width].T
            tile[-columns:, :count] = raw.T
            tile[:, count:] = tile[:, count - 1 : count]
            if not self._convert(tile, columns, block.dtype):
                self._refuse(raw, first_row + start)
            yield slice(start, start + count), tile

    def _convert(self, tile: Tile, columns: int, dtype: np.dtype) -> bool:
        """Turns a tile of raw values into probabilities in place; False when a row is bad."""
        if self.activation == "softmax":
            highest = tile.max(axis=0)
            lowest = tile.min(axis=0)
            if not (np.isfinite(highest).all() and np.isfinite(lowest).all()):
                return False
            tile -= highest
            np.exp(tile, out=tile)
            tile /= tile.sum(axis=0)
            return True
        if self.activation == "sigmoid":
            logits = tile[-columns:]
            if not np.isfinite(logits).all():
                return False
            sigmoid(logits)
            if columns == 1:
                np.subtract(1.0, tile[1], out=tile[0])
                return True
        sums = tile.sum(axis=0)
        # Comparisons with NaN are false, so NaN and infinity fail one of these too.
        if not tile.min() >= 0:
            return False
        if self.renormalize:
            if not (np.isfinite(sums) & (sums > 0)).all():
                return False
            tile /= sums
            return True
        return bool((np.abs(sums - 1) <= self._tolerance(dtype)).all())

    def _tolerance(self, dtype: np.dtype) -> float:
        return self.tolerance + (FP16_EXTRA_TOLERANCE if dtype == np.float16 else 0.0)

    def _refuse(self, raw: Floats, first_row: int) -> None:
        """Finds the first bad row of a tile and raises with what is wrong in it."""
        values = raw.astype(np.float64)
        for i, row in enumerate(values):
            problem = self._problem(row, raw.dtype)
            if problem:
                raise InvalidRequest(self.name, f"row {first_row + i} {problem}")

    def _problem(self, row: Tile, dtype: np.dtype) -> str:
        if not np.isfinite(row).all():
            column = int(np.flatnonzero(~np.isfinite(row))[0])
            return f"has {row[column]} in column {column}; finite numbers are right"
        if self.activation == "softmax":
            return ""
        if self.activation == "sigmoid":
            row = row.copy()
            sigmoid(row)
        if (row < 0).any():
            column = int(np.flatnonzero(row < 0)[0])
            return (
                f"has {row[column]:.6g} in column {column}; probabilities are at least 0 "
                "(for logits, set the parameter activation)"
            )
        total = float(row.sum())
        if self.renormalize:
            return (
                ""
                if np.isfinite(total) and total > 0
                else f"sums to {total:g}; it cannot be renormalized"
            )
        tolerance = self._tolerance(dtype)
        if abs(total - 1) <= tolerance:
            return ""
        return (
            f"sums to {total:.6g}; 1 within {tolerance:g} is right "
            "(or set a parameter: renormalize to divide by the sum, activation for logits)"
        )


def sigmoid(values: Tile) -> None:
    """1 / (1 + e^-x) in place, without overflow at either end."""
    negative = np.exp(-np.abs(values))
    np.divide(np.where(values >= 0, 1.0, negative), 1.0 + negative, out=values)
