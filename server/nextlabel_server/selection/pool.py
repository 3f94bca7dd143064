"""A whole pool, as the strategies see it that cannot judge a row by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.distances import Matrix
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.tiles import right_numbers

LARGEST_EMBEDDING = 1e15
"""The squared distance of two rows of such numbers fits into float32, however long they are."""
_ASKED = 500  # rows for what is in the middle


@dataclass(frozen=True, slots=True)
class Pool:
    """What a whole-pool strategy works on; it has what the strategy declares, and no more.

    Attributes:
        row_count: N.
        embeddings: [N, D] float32; where they are far from the origin, moved so that it is amid
            the rows (distances stay, and nothing is lost), of length 1 under cosine and where only
            directions count, or as they were sent where products count.
        origin: [D] float64, where the embeddings' origin was before they were moved.
        probabilities: [N, C] float32 that sum to 1, for an ensemble its mean.
        committee: [N, M, C] float32, the same by each member.
        predictions: [N] float64, the value that is predicted for each row.
        scores: [N] float64 of the row-wise strategy that this one builds on.
        references: the strategy's reference tensors by name; embeddings moved as the pool's.
        rng: the one source of randomness.
    """

    row_count: int
    rng: np.random.Generator
    embeddings: Matrix = field(default_factory=lambda: np.empty((0, 0), np.float32))
    origin: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    probabilities: Matrix = field(default_factory=lambda: np.empty((0, 0), np.float32))
    committee: npt.NDArray[np.float32] = field(
        default_factory=lambda: np.empty((0, 0, 0), np.float32)
    )
    predictions: Scores = field(default_factory=lambda: np.empty(0))
    scores: Scores = field(default_factory=lambda: np.empty(0))
    references: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EmbeddingReader:
    """Makes blocks [n, D] of FP16, FP32 or FP64 ready to be stored.

    `origin` [D] is subtracted in float64 before rounding to float32; with `cosine` rows are
    scaled to length 1 instead.
    """

    name: str
    cosine: bool
    origin: npt.NDArray[np.float64]

    def read(self, block: npt.NDArray[np.floating], first_row: int) -> Matrix:
        """The rows as they are stored, [n, D] float32.

        Raises:
            InvalidRequest: naming the first row that is not finite, is too large, or is zero under
                cosine.
        """
        values = block.astype(np.float64)
        good = np.abs(values) <= LARGEST_EMBEDDING
        if not good.all():
            row, column = (int(i) for i in np.argwhere(~good)[0])
            found = values[row, column]
            raise InvalidRequest(
                self.name,
                f"row {first_row + row} has {found} in column {column}; "
                f"{right_numbers(found, LARGEST_EMBEDDING)} are right",
            )
        if self.cosine:
            # Scaled by the largest entry first, so that squares neither overflow nor vanish.
            largest = np.abs(values).max(axis=1, keepdims=True, initial=0.0)
            if not largest.all():
                row = int(np.flatnonzero(largest == 0)[0])
                raise InvalidRequest(
                    self.name, f"row {first_row + row} is zero, which has no direction for cosine"
                )
            values /= largest
            values /= np.sqrt(np.einsum("nd,nd->n", values, values))[:, None]
        else:
            values -= self.origin
        return values.astype(np.float32)


def first_origin(block: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """[D] what is subtracted from all rows, given the first of them, [n, D].

    FP16 and FP32 are stored as they come, and moved once all are there. FP64 would lose digits
    that the distances of rows need where the origin is far, and most often it is not far from the
    first row.
    """
    if block.dtype.itemsize < 8:
        return np.zeros(block.shape[1])
    first: npt.NDArray[np.float64] = block[0].astype(np.float64)
    return first


def far_middle(x: Matrix) -> Matrix:
    """[D] the median of some rows of x [N, D], in each column; 0 where that is not far from them.

    A few rows that are far away do not move it. Where it is 0 rows stay as they were sent.
    """
    some = x[:: max(1, len(x) // _ASKED)]
    # A number that is there, and not the mean of two: to subtract it is exact nearby.
    middle: Matrix = np.partition(some, len(some) // 2, axis=0)[len(some) // 2]
    apart = np.square(some.astype(np.float64) - middle).sum(axis=1)
    far = np.square(middle, dtype=np.float64).sum() > np.median(apart)
    return middle if far else np.zeros_like(middle)
