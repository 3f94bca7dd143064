"""A whole query over scores: what to pick, how many, from which rows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.parameters import accept_parameters
from nextlabel_server.selection.ranking import Mask, Rows, Scores
from nextlabel_server.selection.registry import Sizes, Strategy
from nextlabel_server.selection.sampling import SamplingMethod


@dataclass(frozen=True, slots=True)
class Budget:
    """How many rows to pick: a count, or a fraction of the pool, rounded up."""

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
        # In decimal, as it was written: in binary 0.07 · 100 is above 7 and would round to 8.
        return math.ceil(Decimal(repr(float(self.fraction or 0))) * pool_rows)


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
        )

    def memory_bytes(self, sizes: Sizes, excluded_count: int) -> int:
        """What such a pool will take: what the strategy says, the draw, the mask, the answer."""
        a_row = self.sampling.extra_bytes + (1 if excluded_count else 0)
        own = self.strategy.bytes_of(sizes)
        return own + sizes.N * a_row + sizes.B * 48 + excluded_count * 8

    def generator(self) -> np.random.Generator:
        """The one source of randomness of this query, at its start."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True, slots=True)
class Picks:
    """Picked rows in order, with what they scored.

    `eligible` counts the rows that could have been picked; `exhausted` tells that the budget
    asked for more.
    """

    rows: Rows
    scores: Scores
    eligible: int
    exhausted: bool


def pick(
    query: Query, scores: Scores, excluded: npt.NDArray[np.integer], rng: np.random.Generator
) -> Picks:
    """Picks the budget's rows from the scores of a whole pool.

    Args:
        query: what to pick.
        scores: [N] float64, higher means label sooner.
        excluded: [K] row numbers that must not be picked.
        rng: the query's generator, where the strategy has left it.

    Raises:
        InvalidRequest: an excluded row that is out of range or named twice.
    """
    eligible, eligible_count = _eligible(len(scores), excluded)
    wanted = query.budget.rows(len(scores))
    rows = query.sampling.draw(
        scores, min(wanted, eligible_count), eligible, rng, **query.sampling_parameters
    )
    return Picks(rows, scores[rows], eligible_count, wanted > eligible_count)


def _eligible(row_count: int, excluded: npt.NDArray[np.integer]) -> tuple[Mask | None, int]:
    if not len(excluded):
        return None, row_count
    outside = np.flatnonzero((excluded < 0) | (excluded >= row_count))
    if len(outside):
        at = int(outside[0])
        rows = f"0 to {row_count - 1}" if row_count else "none, as the pool is empty,"
        raise InvalidRequest("excluded", f"found {excluded[at]} at position {at}; {rows} is right")
    mask = np.ones(row_count, dtype=np.bool_)
    mask[excluded] = False
    eligible_count = int(np.count_nonzero(mask))
    if row_count - eligible_count != len(excluded):
        values, counts = np.unique(excluded, return_counts=True)
        raise InvalidRequest("excluded", f"row {values[counts > 1][0]} is named more than once")
    return mask, eligible_count
