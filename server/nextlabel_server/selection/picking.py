"""Which rows may still be picked: the one mechanism behind every constraint.

A strategy asks for what is open and takes rows one by one, in its own order; what a constraint
forbids is taken out of what is open. So quotas, costs, distances and excluded rows go together
with each other and with any strategy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.ranking import Rows, Scores

Distances = Callable[[int], npt.NDArray[np.float64]]
"""The Euclidean distance of one row to every row of the pool, [N]."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a batch must keep to, checked against the pool already.

    `excluded` [K] rows are never picked. With `costs` [N], all positive, the picks may cost
    `cost_budget` together. With `groups` [N], at most `max_per_group` are picked of each, or
    what `quotas` says for it. No two picks are closer than `min_distance`.
    """

    excluded: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    costs: Scores | None = None
    cost_budget: float | None = None
    groups: Rows | None = None
    max_per_group: int | None = None
    quotas: Mapping[int, int] = field(default_factory=dict)
    min_distance: float | None = None


class Picking:
    """The picks of one selection as they are made.

    Args:
        row_count: N.
        wanted: B, the most rows to pick.
        constraints: what takes rows out of what is open.
        distances: of one row to all, when there is a minimum distance.
        cancel: looked at before each pick.
        tell: told the number of picks now and then.

    Attributes:
        open: [N] rows that may be picked next. Changes with each pick; not to be written to.
    """

    def __init__(
        self,
        row_count: int,
        wanted: int,
        constraints: Constraints,
        *,
        distances: Distances | None = None,
        cancel: CancelToken | None = None,
        tell: Callable[[int], object] = lambda _picks: None,
    ) -> None:
        self.open = np.ones(row_count, dtype=np.bool_)
        self._wanted = wanted
        self._constraints = constraints
        self._distances = distances
        self._cancel = cancel or CancelToken()
        self._tell = tell
        self._rows: list[int] = []
        self._gains: list[float] = []
        self._left_in_group: dict[int, int] = {}
        self._group_rows: dict[int, Rows] = {}
        self._best_single: tuple[float, int] = (-np.inf, -1)
        self.spent = 0.0
        self._close_excluded()
        self.eligible = int(np.count_nonzero(self.open))
        if constraints.costs is not None:
            self._close_unaffordable()
        for group, left in self._quotas().items():
            self._left_in_group[group] = left
            if left == 0:
                self._close_group(group)

    @property
    def wants_more(self) -> bool:
        """Whether another row should and can be picked.

        Raises:
            Cancelled: nobody waits for the picks any more.
        """
        self._cancel.check()
        return len(self._rows) < self._wanted and bool(self.open.any())

    @property
    def left(self) -> int:
        """How many rows may still be picked at most."""
        return min(self._wanted - len(self._rows), int(np.count_nonzero(self.open)))

    @property
    def rows(self) -> Rows:
        """Picked rows in order, [picks]."""
        return np.array(self._rows, dtype=np.int64)

    @property
    def gains(self) -> Scores:
        """The gain of each pick when it was made, [picks]."""
        return np.array(self._gains)

    def worth(self, gains: Scores, rows: Rows | slice = slice(None)) -> Scores:
        """What the gains of `rows` count for: themselves, or for their cost; -inf when closed."""
        worth = np.where(self.open[rows], gains, -np.inf)
        if self._constraints.costs is not None:
            worth = worth / self._constraints.costs[rows]
        return worth

    def best(self, gains: Scores) -> int:
        """The open row of most worth, [N] gains; the lowest of those that are alike."""
        return int(self.worth(gains).argmax())

    def take(self, row: int, gain: float) -> None:
        """Picks a row that is open."""
        if self._constraints.costs is not None and not self._rows:
            self._best_single = (gain, row)
        self._rows.append(row)
        self._gains.append(gain)
        self.open[row] = False
        if self._constraints.costs is not None:
            self.spent += float(self._constraints.costs[row])
            self._close_unaffordable()
        if self._constraints.groups is not None:
            self._count_group(int(self._constraints.groups[row]))
        if self._distances is not None and self._constraints.min_distance is not None:
            self.open[self._distances(row) < self._constraints.min_distance] = False
        self._tell(len(self._rows))

    def take_in_order(self, rows: Rows, gains: Scores) -> None:
        """Picks open rows in the given order until there are enough."""
        for row, gain in zip(rows, gains, strict=True):
            if not self.wants_more:
                return
            if self.open[row]:
                self.take(int(row), float(gain))

    def _close_excluded(self) -> None:
        excluded, rows = self._constraints.excluded, len(self.open)
        outside = np.flatnonzero((excluded < 0) | (excluded >= rows))
        if len(outside):
            at = int(outside[0])
            right = f"0 to {rows - 1}" if rows else "none, as the pool is empty,"
            raise InvalidRequest(
                "excluded", f"found {excluded[at]} at position {at}; {right} is right"
            )
        self.open[excluded] = False
        if np.count_nonzero(~self.open) != len(excluded):
            values, counts = np.unique(excluded, return_counts=True)
            raise InvalidRequest("excluded", f"row {values[counts > 1][0]} is named more than once")

    def _close_unaffordable(self) -> None:
        budget, costs = self._constraints.cost_budget, self._constraints.costs
        if budget is not None and costs is not None:
            self.open &= costs <= budget - self.spent

    def _quotas(self) -> dict[int, int]:
        """How many rows of each limited group may be picked."""
        if self._constraints.groups is None:
            return {}
        groups = [int(group) for group in np.unique(self._constraints.groups)]
        limits = {group: self._constraints.quotas.get(group) for group in groups}
        everywhere = self._constraints.max_per_group
        found = {group: everywhere if limit is None else limit for group, limit in limits.items()}
        return {group: limit for group, limit in found.items() if limit is not None}

    def _count_group(self, group: int) -> None:
        if group in self._left_in_group:
            self._left_in_group[group] -= 1
            if self._left_in_group[group] == 0:
                self._close_group(group)

    def _close_group(self, group: int) -> None:
        self.open[self._constraints.groups == group] = False
