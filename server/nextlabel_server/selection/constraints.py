"""What a batch must keep to, and what of the pool that takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.distances import Matrix, blocks, exact_squared
from nextlabel_server.selection.pool import EmbeddingReader, first_origin
from nextlabel_server.selection.ranking import Rows, Scores
from nextlabel_server.selection.tensors import COSTS, EMBEDDINGS, GROUPS, TensorInput
from nextlabel_server.selection.tiles import LARGEST

_SMALLEST = float(np.finfo(np.float64).smallest_subnormal)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request asks of its batch, whatever the pool.

    The picks may cost `cost_budget` together; at most `max_per_group` are of one group, or what
    `quotas` says for it; no two are closer than `min_distance`. None is no limit.

    Raises:
        InvalidRequest: a limit that nothing could keep to.
    """

    cost_budget: float | None = None
    max_per_group: int | None = None
    quotas: Mapping[int, int] = field(default_factory=dict)
    min_distance: float | None = None

    def __post_init__(self) -> None:
        if self.cost_budget is not None and not 0 < self.cost_budget < np.inf:
            raise InvalidRequest(
                "budget.cost", f"found {self.cost_budget:g}; a number above 0 is right"
            )
        if self.max_per_group is not None and self.max_per_group < 0:
            raise InvalidRequest(
                "constraints.max_per_group", f"found {self.max_per_group}; at least 0 is right"
            )
        for group, quota in self.quotas.items():
            if quota < 0:
                raise InvalidRequest(
                    "constraints.group_quotas",
                    f"found {quota} for group {group}; at least 0 is right",
                )
        if self.min_distance is not None and not 0 <= self.min_distance < np.inf:
            raise InvalidRequest(
                "constraints.min_distance",
                f"found {self.min_distance:g}; a number of at least 0 is right",
            )

    @property
    def tensors(self) -> tuple[tuple[TensorInput, str], ...]:
        """The pool tensors that these limits need, each with the field that asks for it."""
        grouped = self.max_per_group is not None or bool(self.quotas)
        needed = (
            (COSTS, "budget.cost", self.cost_budget is not None),
            (GROUPS, "constraints", grouped),
            (EMBEDDINGS, "constraints.min_distance", self.min_distance is not None),
        )
        return tuple((tensor, field) for tensor, field, needs in needed if needs)


@dataclass(frozen=True, slots=True)
class Constraints:
    """Limits together with what they say of the rows of one pool.

    `excluded` [K] rows are never picked. `costs` [N] are positive, `groups` [N] any whole numbers,
    `places` [N, D] what distances are measured between; each is None when no limit needs it.
    """

    limits: Limits = field(default_factory=Limits)
    excluded: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    costs: Scores | None = None
    groups: Rows | None = None
    places: Matrix | None = None

    def check(self) -> None:
        """Refuses quotas for groups that no row is in.

        Raises:
            InvalidRequest: naming the group.
        """
        if self.groups is not None and self.limits.quotas:
            there = set(np.unique(self.groups).tolist())
            for group in self.limits.quotas:
                if group not in there:
                    raise InvalidRequest(
                        "constraints.group_quotas", f"group {group} has no row in groups"
                    )

    def at(self, rows: Rows) -> "Constraints":
        """The constraints of a part of the pool: these rows, none of them excluded."""
        return Constraints(
            limits=self.limits,
            costs=None if self.costs is None else self.costs[rows],
            groups=None if self.groups is None else self.groups[rows],
            places=None if self.places is None else self.places[rows],
        )

    @property
    def any_but_excluded(self) -> bool:
        """Whether a pick can close other rows."""
        return any(values is not None for values in (self.costs, self.groups, self.places))

    def too_close(
        self, row: int, check: Callable[[], object] = lambda: None
    ) -> npt.NDArray[np.bool_] | None:
        """[N] rows that are closer to `row` than picks may be; None when they may be close.

        `check` is called now and then.
        """
        if self.places is None or self.limits.min_distance is None:
            return None
        # Not to the power of 2, which raises where the product is infinite. Where it is 0, rows at
        # the same place are too close all the same.
        least = self.limits.min_distance * self.limits.min_distance
        if self.limits.min_distance > 0:
            least = max(least, _SMALLEST)
        close = np.empty(len(self.places), dtype=np.bool_)
        for some in blocks(*self.places.shape):
            check()
            close[some] = exact_squared(self.places[some], self.places[row]) < least
        return close


class ConstraintReader:
    """Validates and keeps what the limits need of each block."""

    def __init__(self, limits: Limits) -> None:
        self._names = {tensor.name for tensor, _ in limits.tensors}
        self._origin: npt.NDArray[np.float64] = np.zeros(0)

    def take(self, arrays: Mapping[str, npt.NDArray[Any]], first_row: int) -> dict[str, Any]:
        """The columns `costs`, `groups` and `places` of a block, those that are needed.

        Raises:
            InvalidRequest: naming the first row that is not what a tensor should hold.
        """
        columns: dict[str, Any] = {}
        if COSTS.name in self._names:
            costs = arrays[COSTS.name].astype(np.float64)
            bad = np.flatnonzero(~((costs >= 1 / LARGEST) & (costs <= LARGEST)))
            if len(bad):
                row = int(bad[0])
                raise InvalidRequest(
                    COSTS.name,
                    f"row {first_row + row} has {costs[row]:g}; "
                    f"numbers above 0, from {1 / LARGEST:g} to {LARGEST:g}, are right",
                )
            columns["costs"] = costs
        if GROUPS.name in self._names:
            columns["groups"] = arrays[GROUPS.name].astype(np.int64)
        if EMBEDDINGS.name in self._names:
            block = arrays[EMBEDDINGS.name]
            if first_row == 0 and len(block):
                self._origin = first_origin(block)
            columns["places"] = EmbeddingReader(EMBEDDINGS.name, False, self._origin).read(
                block, first_row
            )
        return columns
