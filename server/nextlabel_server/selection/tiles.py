"""From the rows of a block to validated float64 tiles of bounded size.

A tile has its rows last: [C, n] for a vector a row, [M, C, n] for a matrix a row, so that a
strategy reduces over the leading axes. When vectors are short, the memory is laid out that way
too and a reduction runs along contiguous rows of the tile; when they are long, the memory stays
row-major and the tile is a view of it. Tiles are padded to a multiple of 16 rows, so that a
row's score has the same bits wherever in a block it stands: numpy would otherwise treat a lone
row in another way, and equal rows would not tie.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import InvalidRequest

Floats: TypeAlias = npt.NDArray[np.floating]
Tile: TypeAlias = npt.NDArray[Any]  # float64; float32 where a screen is enough

# 1 MiB of float64. Tiles that fit a smaller cache are no faster: between their many operations the
# compute threads hand the interpreter's lock to each other, and that is what costs (measured).
TILE_ELEMENTS = 128 * 1024
MAX_TILE_ROWS = 32 * 1024
SHORT_VECTOR = 64
PADDING = 16
_TRANSPOSED_BYTES = 128 * 1024  # at a time: a quarter of the time of all at once, for committees


class TileReader(ABC):
    """Reads the blocks [n, ...] of one tensor; `name` is how errors call it."""

    name: str

    def tiles(self, block: Floats, first_row: int) -> Iterator[tuple[slice, Tile]]:
        """Cuts a block into tiles, each with the rows of the block that it holds.

        A tile may be wider than its rows: what stands in the columns beyond them is padding.
        Its memory is reused: it is good until the next one, and free to write into.

        Raises:
            InvalidRequest: naming the first row (counted from `first_row`) that is not what the
                tensor should hold.
        """
        rows, shape = len(block), self.tile_shape(block.shape[1:])
        elements = prod(shape)
        short = not shape or shape[-1] <= SHORT_VECTOR
        height = min(MAX_TILE_ROWS, TILE_ELEMENTS // elements, rows)
        height = max(PADDING, -(-height // PADDING) * PADDING)
        memory = np.empty((*shape, height) if short else (height, *shape))
        for start in range(0, rows, height):
            raw = block[start : start + height]
            count = len(raw)
            width = -(-count // PADDING) * PADDING
            tile = memory[..., :width] if short else np.moveaxis(memory[:width], 0, -1)
            self.place(tile[..., :count], np.moveaxis(raw, 0, -1))
            tile[..., count:] = tile[..., count - 1 : count]
            if not self.convert(tile, block.dtype):
                self._refuse(raw, first_row + start)
            yield slice(start, start + count), tile

    def tile_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a row in a tile."""
        return row_shape

    def place(self, tile: Tile, raw: Floats) -> None:
        """Copies raw values, rows last, to where `convert` expects them."""
        transpose(raw, out=tile)

    @abstractmethod
    def convert(self, tile: Tile, dtype: np.dtype) -> bool:
        """Makes of the raw values what a strategy works on, in place; False if a row is bad.

        `dtype` is what the values were sent as.
        """

    @abstractmethod
    def problem(self, row: Tile, dtype: np.dtype) -> str:
        """What is wrong with a raw row, in words that follow "row 17"; empty if nothing is."""

    def _refuse(self, raw: Floats, first_row: int) -> None:
        """Finds the first bad row of a tile and raises with what is wrong in it."""
        for i, row in enumerate(raw.astype(np.float64)):
            problem = self.problem(row, raw.dtype)
            if problem:
                raise InvalidRequest(self.name, f"row {first_row + i} {problem}")


def transpose(rows_last: Floats, out: Tile) -> None:
    """Copies rows whose memory is rows first, some that stay in the cache at a time."""
    rows = rows_last.shape[-1]
    step = max(PADDING, _TRANSPOSED_BYTES * rows // max(rows_last.nbytes, 1))
    for start in range(0, rows, step):
        piece = slice(start, start + step)
        out[..., piece] = rows_last[..., piece]


LARGEST = 1e100
"""Of values that are not probabilities: so that no square, product or sum of them overflows."""


@dataclass(frozen=True, slots=True)
class ValueReader(TileReader):
    """Reads numbers up to LARGEST in size; `minimum` is the smallest that is allowed."""

    name: str
    minimum: float = -np.inf

    def convert(self, tile: Tile, dtype: np.dtype) -> bool:  # noqa: ARG002 - any type will do
        return bool((np.abs(tile) <= LARGEST).all() and (tile >= self.minimum).all())

    def problem(self, row: Tile, dtype: np.dtype) -> str:  # noqa: ARG002
        if infinite := not_finite(row):
            return infinite
        largest = row.flat[int(np.abs(row).argmax())]
        if abs(largest) > LARGEST:
            return f"has {largest:g}; {right_numbers(largest, LARGEST)} are right"
        lowest = float(row.min())
        return (
            f"has {lowest:g}; at least {self.minimum:g} is right" if lowest < self.minimum else ""
        )


def not_finite(row: Tile) -> str:
    """Says where a vector or a single value is NaN or infinite; empty if nowhere."""
    bad = ~np.isfinite(row)
    if not bad.any():
        return ""
    column = int(bad.argmax())
    place = f" in column {column}" if row.ndim else ""
    return f"has {row.flat[column]}{place}; finite numbers are right"


def right_numbers(found: float, largest: float) -> str:
    """What would be right in the place of a number that is not finite, or is too large."""
    if not np.isfinite(found):
        return "finite numbers"
    return f"numbers of at most {largest:g} in size"
