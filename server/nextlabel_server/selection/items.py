"""Items made of parts, such as the tokens of a sentence: their scores from those of parts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.ranking import Scores

REDUCE = Parameter(
    "reduce",
    str,
    "With item_offsets: what makes an item's score of the scores of its parts.",
    default="mean",
    choices=("mean", "max", "sum", "min"),
)
EMPTY_SCORE = Parameter(
    "empty_score",
    float,
    "With item_offsets: the score of an item without parts.",
    default=0.0,
)
_UFUNCS = {"mean": np.add, "max": np.maximum, "sum": np.add, "min": np.minimum}


@dataclass(frozen=True, slots=True)
class Items:
    """I items: the parts of item i are rows offsets[i] to offsets[i + 1] − 1 of the pool.

    `offsets` is [I + 1] int64; `name` is how errors call them.
    """

    name: str
    offsets: npt.NDArray[np.int64]

    @classmethod
    def accept(cls, name: str, values: npt.NDArray[np.generic]) -> "Items":
        """Items from offsets that may be wrong.

        Raises:
            InvalidRequest: they do not start at 0, or decrease; at the first that is wrong.
        """
        offsets = values.astype(np.int64, copy=False)
        if offsets[0] != 0:
            raise InvalidRequest(name, f"found {offsets[0]} at position 0; 0 is right")
        below = np.flatnonzero(offsets[1:] < offsets[:-1])
        if len(below):
            at = int(below[0])
            raise InvalidRequest(
                name,
                f"found {offsets[at + 1]} at position {at + 1}, after {offsets[at]}; "
                "offsets never decrease",
            )
        return cls(name, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def check_parts(self, row_count: int) -> None:
        """Refuses items that are not made of exactly the pool's rows.

        Raises:
            InvalidRequest: the last offset is not the number of rows.
        """
        if self.offsets[-1] != row_count:
            raise InvalidRequest(
                self.name,
                f"found {self.offsets[-1]} at position {len(self)}, the last; the pool has "
                f"{row_count} rows, so {row_count} is right",
            )

    def reduce(self, scores: Scores, how: str, empty_score: float) -> Scores:
        """Scores of items, [I], from those of their parts, [offsets[I]].

        An item's score depends on its parts' scores in their order and on nothing else.
        """
        sizes = np.diff(self.offsets)
        filled = sizes > 0
        reduced = np.full(len(self), empty_score)
        # Between two items that have parts there are none, so each ends where the next begins.
        reduced[filled] = _UFUNCS[how].reduceat(scores, self.offsets[:-1][filled])
        if how == "mean":
            reduced[filled] /= sizes[filled]
        return reduced
