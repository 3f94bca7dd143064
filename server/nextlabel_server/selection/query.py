"""A whole query over scores: what to pick, how many, from which rows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import nearest
from nextlabel_server.selection.constraints import Limits
from nextlabel_server.selection.parameters import accept_parameters
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.prefilter import Prefilter
from nextlabel_server.selection.ranking import Rows, Scores
from nextlabel_server.selection.registry import Sizes, Strategy, all_strategies
from nextlabel_server.selection.sampling import SamplingMethod
from nextlabel_server.selection.shortlist import BYTES as SHORTLIST_BYTES
from nextlabel_server.selection.tensors import TensorInput


@dataclass(frozen=True, slots=True)
class Budget:
    """How many rows to pick: a count, or a fraction of the pool, rounded up; else all of it."""

    count: int | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise InvalidRequest("budget.count", f"found {self.count}; at least 1 is right")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise InvalidRequest(
                "budget.fraction", f"found {self.fraction:g}; above 0 and at most 1 is right"
            )

    def rows(self, pool_rows: int) -> int:
        """The number of rows wanted from a pool, whether or not it has as many."""
        if self.count is not None:
            return self.count
        if self.fraction is None:
            return pool_rows
        # In decimal, as it was written: in binary 0.07 · 100 is above 7 and would round to 8.
        return math.ceil(Decimal(repr(float(self.fraction))) * pool_rows)


@dataclass(frozen=True, slots=True)
class Query:
    """A validated query: nothing in it can be wrong any more, except against the pool's rows."""

    strategy: Strategy
    parameters: Mapping[str, Any]
    budget: Budget
    sampling: SamplingMethod
    sampling_parameters: Mapping[str, Any]
    seed: int
    return_all_scores: bool = False
    limits: Limits = field(default_factory=Limits)
    prefilter: Prefilter | None = None
    return_nearest_picks: bool = False

    @classmethod
    def accept(
        cls,
        strategy: Strategy,
        parameters: Mapping[str, object],
        budget: Budget,
        sampling: SamplingMethod,
        sampling_parameters: Mapping[str, object],
        *,
        seed: int,
        return_all_scores: bool = False,
        limits: Limits | None = None,
        prefilter: Prefilter | None = None,
        return_nearest_picks: bool = False,
    ) -> "Query":
        """Checks parameters against the declarations.

        Raises:
            InvalidRequest: a wrong parameter, or a sampling that the strategy's scores forbid.
        """
        if strategy.kind == "whole_pool":
            if sampling.name != "top":
                raise InvalidRequest(
                    "sampling.method",
                    f"found {sampling.name}; {strategy.name} draws its batch itself",
                )
            if return_all_scores:
                raise InvalidRequest(
                    "return_all_scores", f"{strategy.name} scores only the rows that it picks"
                )
        elif prefilter is not None:
            raise InvalidRequest(
                "prefilter", f"{strategy.name} scores each row by itself and needs none"
            )
        if return_nearest_picks and not strategy.covers:
            covering = ", ".join(s.name for s in all_strategies().values() if s.covers)
            raise InvalidRequest(
                "return_nearest_picks",
                f"the picks of {strategy.name} do not stand for other rows; those of {covering} do",
            )
        if sampling.name == "power" and strategy.negative_scores:
            raise InvalidRequest(
                "sampling.method",
                f"power needs scores of at least 0 and {strategy.name} gives negative ones; "
                "softmax or softrank is right",
            )
        return cls(
            strategy,
            accept_parameters(
                strategy.parameters, parameters, field="parameters", owner=strategy.name
            ),
            budget,
            sampling,
            accept_parameters(
                sampling.parameters,
                sampling_parameters,
                field="sampling.parameters",
                owner=f"sampling {sampling.name}",
            ),
            seed,
            return_all_scores,
            limits or Limits(),
            prefilter,
            return_nearest_picks,
        )

    @property
    def needs(self) -> tuple[tuple[TensorInput, ...], ...]:
        """For each pool tensor that the strategy or its prefilter needs, those that will do."""
        extra = self.prefilter.strategy.needs if self.prefilter else ()
        return (*self.strategy.needs, *(need for need in extra if need not in self.strategy.needs))

    def can_do_without(self, need: tuple[TensorInput, ...]) -> bool:
        """Whether nothing has to be there for a need."""
        filters_by_it = self.prefilter is not None and need in self.prefilter.strategy.needs
        return need[0] in self.strategy.optional and not filters_by_it

    def memory_bytes(self, sizes: Sizes, excluded_count: int, shortlist: int | None = None) -> int:
        """What such a pool will take: what the strategy says, the draw, limits and the answer.

        Of a `shortlist` no more is kept than so many of the best rows.
        """
        limited = {tensor.name for tensor, _ in self.limits.tensors}
        a_row = 1 + self.sampling.extra_bytes + 8 * len(limited & {"costs", "groups"})
        if limited:
            a_row += 56  # the draw goes through all rows, and not only the best
        if self.prefilter is not None:
            a_row += 8
        if "embeddings" in limited:
            a_row += 4 * sizes.D
        own = self.strategy.bytes_of(sizes)
        if shortlist is not None:
            own = min(shortlist, sizes.N) * SHORTLIST_BYTES
        if self.return_nearest_picks:
            own += nearest.bytes_of(sizes.N, sizes.B, sizes.D)
        return own + sizes.N * a_row + sizes.B * 48 + excluded_count * 8

    def work(self, sizes: Sizes) -> int:
        """About how many multiplications it takes beyond going through the pool."""
        row_work = self.strategy.row_work
        scoring = sizes.N * row_work(sizes) if row_work is not None else 0
        return scoring + self.picking_work(sizes)

    def picking_work(self, sizes: Sizes) -> int:
        """What of it is for picks that close others, each of which looks at all rows."""
        return sizes.N * sizes.B * max(sizes.D, 1) if self.limits.tensors else 0

    def best_rows(self, row_count: int) -> int | None:
        """How many of the best rows are all that matters; None when any row may.

        `row_count` is N, or -1.
        """
        best_only = self.sampling.name == "top" and not self.return_all_scores
        budget_known = self.budget.count is not None or row_count >= 0
        by_score = self.strategy.kind == "row_wise" and not self.limits.tensors
        if not (by_score and best_only and budget_known):
            return None
        return self.budget.rows(row_count)

    @property
    def draws(self) -> bool:
        """Whether anything is drawn at random."""
        return self.strategy.stochastic or self.sampling.name != "top"

    def generator(self) -> np.random.Generator:
        """The one source of randomness of this query, at its start."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True, slots=True)
class Picks:
    """Picked rows in order, with what they scored.

    `eligible` counts the rows that could have been picked first; `exhausted` tells that the
    budget asked for more than came; `spent` is what the picks cost together.
    """

    rows: Rows
    scores: Scores
    eligible: int
    exhausted: bool
    spent: float | None

    @classmethod
    def of(cls, picking: Picking, query: Query, row_count: int) -> "Picks":
        """What was picked from a pool of `row_count` rows, once the picking is over."""
        rows = picking.rows
        by_cost = query.limits.cost_budget is not None
        all_picked = len(rows) == picking.eligible
        return cls(
            rows=rows,
            scores=picking.gains,
            eligible=picking.eligible,
            exhausted=all_picked if by_cost else len(rows) < query.budget.rows(row_count),
            spent=picking.spent if by_cost else None,
        )


def pick_by_score(
    query: Query, scores: Scores, picking: Picking, rng: np.random.Generator | None
) -> None:
    """Picks from the scores of a whole pool, [N] float64, as the query's sampling draws them.

    `rng` is the query's generator, where the strategy has left it; None when nothing is drawn.
    """
    method, parameters = query.sampling, query.sampling_parameters
    if not picking.picks_close_others:
        drawn = method.draw(scores, picking.left, picking.open, rng, **parameters)
        picking.take_all(drawn, scores)
        return
    # Any row may turn out to be closed when its turn comes, so the whole order is drawn.
    lowest = scores.min(initial=0.0) if query.strategy.negative_scores else 0.0
    worth = picking.for_cost(scores, lowest)
    draw = method.in_turn or method.draw
    picking.take_in_order(draw(worth, len(worth), picking.open, rng, **parameters), scores)
    if method.name == "top" and lowest >= 0:
        picking.settle(scores)
