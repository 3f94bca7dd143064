"""Which rows may still be picked: the one mechanism behind every constraint.

A strategy asks for what is open and takes rows one by one, in its own order; what a constraint
forbids is taken out of what is open. So quotas, costs, distances and excluded rows go together
with each other and with any strategy.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy

import numpy as np

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.constraints import Constraints
from nextlabel_server.selection.ranking import Rows, Scores

# Costs that add up to the budget should fit, though their sum is rounded.
_ROUNDING = 1e-12
_STEP = 4096


class Picking:
    """The picks of one selection as they are made.

    Args:
        row_count: N.
        wanted: B, the most rows to pick.
        constraints: what takes rows out of what is open.
        check: raises Cancelled if nobody waits for the picks any more; called before each pick,
            and in long work between picks.

    Attributes:
        open: [N] rows that may be picked next. Changes with each pick; not to be written to.
    """

    def __init__(
        self,
        row_count: int,
        wanted: int,
        constraints: Constraints,
        *,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self.open = np.ones(row_count, dtype=np.bool_)
        self._wanted = wanted
        self._constraints = constraints
        self.check = check
        self._rows: list[int] = []
        self._gains: list[float] = []
        self._left_in_group: dict[int, int] = {}
        self.spent = 0.0
        self._close_excluded()
        self.eligible = int(np.count_nonzero(self.open))
        if constraints.costs is not None:
            self._dearest = float(constraints.costs.max(initial=0.0))
            self._close_unaffordable()
        if constraints.groups is not None:
            self._left_in_group = self._quotas(constraints.groups)
            self._close_groups([group for group, left in self._left_in_group.items() if left == 0])
        self._first_open = self.open.copy() if constraints.costs is not None else self.open

    @property
    def wants_more(self) -> bool:
        """Whether another row should and can be picked."""
        self.check()
        return len(self._rows) < self._wanted and bool(self.open.any())

    def trial(self) -> "Picking":
        """A copy to try picks on: what it takes leaves this one as it is."""
        trial = copy(self)
        trial.open = self.open.copy()
        trial._rows, trial._gains = self._rows.copy(), self._gains.copy()  # noqa: SLF001
        trial._left_in_group = self._left_in_group.copy()  # noqa: SLF001
        return trial

    @property
    def made(self) -> int:
        """How many picks are made; may be asked from any thread."""
        return len(self._rows)

    @property
    def most(self) -> int:
        """How many picks there will be at most, by the budget's rows and what is eligible."""
        return min(self._wanted, self.eligible)

    @property
    def left(self) -> int:
        """How many rows may still be picked at most."""
        limits, costs = self._constraints.limits, self._constraints.costs
        most = min(self._wanted - len(self._rows), int(np.count_nonzero(self.open)))
        if costs is None or limits.cost_budget is None:
            return most
        cheapest_first = np.cumsum(np.sort(costs[self.open]))
        budget = limits.cost_budget - self.spent + _ROUNDING * limits.cost_budget
        return min(most, int(np.searchsorted(cheapest_first, budget, side="right")))

    @property
    def rows(self) -> Rows:
        """Picked rows in order, [picks]."""
        return np.array(self._rows, dtype=np.int64)

    @property
    def gains(self) -> Scores:
        """The gain of each pick when it was made, [picks]."""
        return np.array(self._gains)

    def worth(self, gains: Scores, rows: Rows | slice = slice(None), lowest: float = 0.0) -> Scores:
        """What the gains of `rows` count for, as in `for_cost`; -inf when closed."""
        return np.where(self.open[rows], self.for_cost(gains, lowest, rows), -np.inf)

    def for_cost(
        self, gains: Scores, lowest: float = 0.0, rows: Rows | slice = slice(None)
    ) -> Scores:
        """Gains above `lowest` for each unit of cost; the gains themselves when costs are free."""
        if self._constraints.costs is None:
            return gains
        return (gains - lowest) / self._constraints.costs[rows]

    def best(self, gains: Scores, lowest: float = 0.0) -> int:
        """The open row of most worth, [N] gains; the lowest of those that are alike."""
        return int(self.worth(gains, lowest=lowest).argmax())

    @property
    def picks_close_others(self) -> bool:
        """Whether taking a row can close other rows."""
        return self._constraints.any_but_excluded

    def take(self, row: int, gain: float) -> None:
        """Picks a row that is open."""
        self._rows.append(row)
        self._gains.append(gain)
        self.open[row] = False
        if self._constraints.costs is not None:
            self.spent += float(self._constraints.costs[row])
            self._close_unaffordable()
        if self._constraints.groups is not None:
            self._count_group(int(self._constraints.groups[row]))
        if (close := self._constraints.too_close(row, self.check)) is not None:
            self.open[close] = False

    def take_all(self, rows: Rows, gains: Scores) -> None:
        """Picks these rows, all open and no more than are left, when no pick closes others.

        `gains` are those of every row of the pool, [N].
        """
        self.check()
        self._rows += rows.tolist()
        self._gains += gains[rows].tolist()
        self.open[rows] = False

    def take_in_order(self, rows: Rows | Iterable[int], gains: Scores) -> None:
        """Picks open rows in the given order until there are enough; `gains` as above."""
        for number, row in enumerate(_one_by_one(rows)):
            if number % _STEP == 0:
                self.check()
            if self.open[row]:
                if len(self._rows) >= self._wanted:
                    return
                self.check()
                self.take(row, float(gains[row]))

    def settle(self, gains: Scores) -> None:
        """Takes the best single row instead, where the picks are worth less together.

        Greedy by gain for cost can fill a budget with cheap rows; with this it is never far from
        the best batch (Khuller, Moss & Naor 1999). `gains` are those of a first pick, [N].
        """
        if self._constraints.costs is None or not self._rows:
            return
        single = int(np.where(self._first_open, gains, -np.inf).argmax())
        if gains[single] > sum(self._gains):
            self._rows, self._gains = [single], [float(gains[single])]
            self.spent = float(self._constraints.costs[single])

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
        budget, costs = self._constraints.limits.cost_budget, self._constraints.costs
        if budget is not None and costs is not None:
            left = budget - self.spent + _ROUNDING * budget
            if left < self._dearest:
                self.open &= costs <= left
                self._dearest = left

    def _quotas(self, groups: Rows) -> dict[int, int]:
        """How many rows of each limited group may be picked."""
        every = np.unique(groups).tolist()
        limits = {group: self._constraints.limits.quotas.get(group) for group in every}
        everywhere = self._constraints.limits.max_per_group
        found = {group: everywhere if limit is None else limit for group, limit in limits.items()}
        return {group: limit for group, limit in found.items() if limit is not None}

    def _count_group(self, group: int) -> None:
        if group in self._left_in_group:
            self._left_in_group[group] -= 1
            if self._left_in_group[group] == 0:
                self._close_groups([group])

    def _close_groups(self, groups: Sequence[int]) -> None:
        if groups and self._constraints.groups is not None:
            self.open[np.isin(self._constraints.groups, groups)] = False


def _one_by_one(rows: Rows | Iterable[int]) -> Iterator[int]:
    if not isinstance(rows, np.ndarray):
        yield from rows
        return
    for start in range(0, len(rows), _STEP):  # a list of all would take five times the memory
        yield from rows[start : start + _STEP].tolist()
