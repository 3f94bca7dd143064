"""The answer to a call: which rows, in which order, and how they scored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Pick(NamedTuple):
    """One picked row. `id` is the caller's own, or the row number again when it gave none."""

    index: int  # type: ignore[assignment]  # nobody searches a Pick by tuple.index
    id: Any
    score: float
    priority: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds on the server, by what they were spent on; parts overlap."""

    receive: float
    queue: float
    inference: float
    selection: float
    total: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Selection:
    """Picked rows, best first.

    Iterating gives a Pick a row; a slice gives a Selection of those rows.

    Attributes:
        indices: [B] int64, row numbers in the pool, or item numbers where rows are parts.
        scores: [B] float64, the strategy's scores; higher means label sooner.
        ids: the caller's ids of the picked rows; None when it gave none.
        priority: [B] float64 in (0, 1], by rank: 1 is first.
        all_scores: [N] float64 scores of all rows when they were asked for, else None.
        shares: [B] float64, the share of the pool that is nearest to each pick, when that was
            asked for, else None.
        nearest: [N] int64, for every row of the pool the row number of the pick that is nearest
            to it, likewise; so `ids[nearest]`, of an array of your ids, are the picks' ids.
            Empty when nothing was picked.
        seed: what was drawn at random came from it; send it again for the same answer.
        strategy: the strategy's name.
        model: the model that was run, or an empty string; those of a committee with commas.
        model_version: the version of it that was used, or an empty string; likewise.
        row_count: rows in the pool, or items.
        exhausted: the budget asked for more rows than could be picked, so all of those are here.
        spent_cost: what the picks cost together under a budget by cost, else None.
        timings: where the server's time went.
        request_id: the call's name in the server's log.
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    ids: Sequence[Any] | npt.NDArray[Any] | None
    priority: npt.NDArray[np.float64]
    all_scores: npt.NDArray[np.float64] | None
    shares: npt.NDArray[np.float64] | None
    nearest: npt.NDArray[np.int64] | None
    seed: int
    strategy: str
    model: str
    model_version: str
    row_count: int
    exhausted: bool
    spent_cost: float | None
    timings: Timings = field(compare=False)
    request_id: str

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Pick]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, at: int) -> Pick: ...
    @overload
    def __getitem__(self, at: slice) -> "Selection": ...
    def __getitem__(self, at: int | slice) -> "Pick | Selection":
        if isinstance(at, slice):
            return replace(
                self,
                indices=self.indices[at],
                scores=self.scores[at],
                ids=None if self.ids is None else self.ids[at],
                priority=self.priority[at],
                shares=None if self.shares is None else self.shares[at],
            )
        index = int(self.indices[at])
        own = index if self.ids is None else self.ids[at]
        return Pick(index, own, float(self.scores[at]), float(self.priority[at]))

    def __repr__(self) -> str:
        shown = self.indices if self.ids is None else self.ids
        first = ", ".join(str(x) for x in shown[:5]) + (", …" if len(self) > 5 else "")
        scores = f", scores {self.scores[0]:.4g} to {self.scores[-1]:.4g}" if len(self) else ""
        return (
            f"<Selection: {len(self)} of {self.row_count} rows by {self.strategy}, "
            f"[{first}]{scores}, seed {self.seed}>"
        )

    def columns(self) -> dict[str, Any]:
        """The picks as columns: index, score and priority; id and share where there are any."""
        ids = {} if self.ids is None else {"id": self.ids}
        shares = {} if self.shares is None else {"share": self.shares}
        scores = {"score": self.scores, "priority": self.priority}
        return {"index": self.indices, **ids, **scores, **shares}

    def to_pandas(self) -> "pd.DataFrame":
        """The picks as a pandas DataFrame, a row a pick; needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.columns())

    def to_arrow(self) -> "pa.Table":
        """The picks as an Arrow table, a row a pick; needs pyarrow."""
        import pyarrow as pa

        return pa.table({name: pa.array(values) for name, values in self.columns().items()})
