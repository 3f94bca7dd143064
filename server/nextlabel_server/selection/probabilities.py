"""Probability vectors: one a row, [N, C], or one for each member of a committee, [N, M, C]."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from nextlabel_server.selection import halves
from nextlabel_server.selection.tiles import (
    SHORT_VECTOR,
    Floats,
    Tile,
    TileReader,
    not_finite,
    transpose,
)

Activation: TypeAlias = Literal["none", "softmax", "sigmoid"]

FP16_EXTRA_TOLERANCE = 0.004
_CLASSES = -2  # the axis of the classes in a tile, [C, n] or [M, C, n]


@dataclass(frozen=True, slots=True)
class ProbabilityReader(TileReader):
    """Reads FP16, FP32 or FP64 as probabilities.

    `activation` is none, softmax or sigmoid; `tolerance` bounds how far from 1 a vector may sum;
    `renormalize` divides by the sum instead. `exclusive` is false for labels that are
    independent of each other: each is a probability by itself, and sums mean nothing.
    """

    activation: Activation = "none"
    tolerance: float = 1e-3
    renormalize: bool = False
    name: str = "probabilities"
    exclusive: bool = True

    def classes(self, columns: int) -> int:
        """The number of classes that `columns` columns hold."""
        one_of_two = self.exclusive and self.activation == "sigmoid" and columns == 1
        return 2 if one_of_two else columns

    def tile_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*row_shape[:-1], self.classes(row_shape[-1]))

    def place(self, tile: Tile, raw: Floats) -> None:
        if raw.shape[_CLASSES] < tile.shape[_CLASSES]:
            # p = sigmoid(x) has 1 − p = sigmoid(−x) as its other class, to the last bit.
            tile[..., 1:, :] = raw
            np.negative(raw, out=tile[..., :1, :], dtype=np.float64, casting="unsafe")
        else:
            transpose(raw, out=tile)

    def convert(self, tile: Tile, dtype: np.dtype) -> bool:
        if self.activation != "none":
            lowest, highest = tile.min(axis=_CLASSES), tile.max(axis=_CLASSES, keepdims=True)
            if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
                return False
            if self.activation == "softmax":
                tile -= highest
                np.exp(tile, out=tile)
                tile /= tile.sum(axis=_CLASSES, keepdims=True)
                return True
            sigmoid(tile)
        # Comparisons with NaN are false, so NaN and infinity fail one of these.
        if not tile.min(initial=0.0) >= 0:
            return False
        if not self.exclusive:
            return bool(tile.max(initial=0.0) <= 1)
        sums = tile.sum(axis=_CLASSES, keepdims=True)
        if self.renormalize:
            if not (np.isfinite(sums) & (sums > 0)).all():
                return False
            tile /= sums
            return True
        return bool((np.abs(sums - 1) <= self._tolerance(dtype)).all())

    def float32_tile(self, block: Floats) -> Tile | None:
        """A block [n, C] or [n, M, C] as a tile of the very same numbers in float32.

        Not to be written to. None when the numbers are others in float32, or when some row may be
        bad: that is for float64 to say.
        """
        as_sent = self.activation == "none" and self.exclusive and not self.renormalize
        if not as_sent or block.dtype == np.float64 or not block.size:
            return None
        if block.dtype == np.float16 and not halves.up_to_one(block):
            return None
        tile = _rows_last(block)
        classes = tile.shape[_CLASSES]
        sums = np.ones(classes, np.float32) @ tile
        slack = self._tolerance(block.dtype) - classes * np.finfo(np.float32).eps
        # Comparisons with NaN are false.
        fine = tile.min() >= 0 and sums.max() <= 1 + slack and sums.min() >= 1 - slack
        return tile if fine else None

    def problem(self, row: Tile, dtype: np.dtype) -> str:
        if row.ndim == 1:
            return self._vector_problem(row, dtype)
        for member, vector in enumerate(row):
            if problem := self._vector_problem(vector, dtype):
                return f"of member {member} {problem}"
        return ""

    def _vector_problem(self, vector: Tile, dtype: np.dtype) -> str:
        if infinite := not_finite(vector):
            return infinite
        if self.activation == "softmax" or len(vector) < self.classes(len(vector)):
            return ""
        if self.activation == "sigmoid":
            vector = vector.copy()
            sigmoid(vector)
        outside = (vector < 0) if self.exclusive else (vector < 0) | (vector > 1)
        if outside.any():
            column = int(np.flatnonzero(outside)[0])
            range_ = "at least 0" if self.exclusive else "from 0 to 1"
            return (
                f"has {vector[column]:.6g} in column {column}; probabilities are {range_} "
                "(for logits, set the parameter activation)"
            )
        if not self.exclusive:
            return ""
        # Added up as in a tile: in another order the last bit may be another one.
        short = len(vector) <= SHORT_VECTOR
        return self._sum_problem(float(vector.cumsum()[-1] if short else vector.sum()), dtype)

    def _sum_problem(self, total: float, dtype: np.dtype) -> str:
        if self.renormalize:
            fine = np.isfinite(total) and total > 0
            return "" if fine else f"sums to {total:g}; it cannot be renormalized"
        tolerance = self._tolerance(dtype)
        if abs(total - 1) <= tolerance:
            return ""
        return (
            f"sums to {total:.6g}; 1 within {tolerance:g} is right "
            "(or set a parameter: renormalize to divide by the sum, activation for logits)"
        )

    def largest_sum(self, dtype: np.dtype) -> float:
        """The most that a row sums to which was sent as `dtype` and not refused."""
        return 1.0 + self._tolerance(dtype)

    def _tolerance(self, dtype: np.dtype) -> float:
        return self.tolerance + (FP16_EXTRA_TOLERANCE if dtype == np.float16 else 0.0)


def _rows_last(block: Floats) -> Tile:
    """A float32 tile of a block of FP16 or float32, laid out as `tiles` would."""
    short = block.shape[-1] <= SHORT_VECTOR
    rows_last = block.T if block.ndim == 2 else np.moveaxis(block, 0, -1)
    if not short and block.dtype == np.float32:
        # Rows lie in a message where they happen to; numpy would align them for each operation.
        return np.require(rows_last, None, "A")
    tile = np.empty(rows_last.shape if short else block.shape, np.float32)
    if not short:
        tile = np.moveaxis(tile, 0, -1)
    if block.dtype == np.float32:
        transpose(rows_last, out=tile)
    else:
        halves.widen(rows_last, out=tile)
    return tile


def sigmoid(values: Tile) -> None:
    """1 / (1 + e^-x) in place, without overflow at either end."""
    negative = np.exp(-np.abs(values))
    np.divide(np.where(values >= 0, 1.0, negative), 1.0 + negative, out=values)
