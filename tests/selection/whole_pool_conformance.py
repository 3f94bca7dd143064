"""Checks that every whole-pool strategy must pass.

Nothing here names a strategy: pools are made from the tensors that a declaration names, and a
check is a function `check_...(case)` that `checks_of` yields when the declaration says that it
applies. A new strategy is covered by being registered.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, InvalidRequest
from nextlabel_server.selection import (
    Constraints,
    Picking,
    Strategy,
    TensorInput,
    all_strategies,
)
from nextlabel_server.selection.constraints import Limits
from nextlabel_server.selection.parameters import Value
from nextlabel_server.selection.tensors import METRIC
from tests.selection.conformance import probability_rows, required, variants
from tests.selection.pools import picking_of

ROWS = 61
SIZES = {"M": 3, "C": 4, "D": 5, "L": 6, "T": 2}
SEED = 11

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A strategy with parameters that are in range."""

    strategy: Strategy
    given: Mapping[str, Value]

    def __str__(self) -> str:
        given = ",".join(f"{name}={value}" for name, value in self.given.items())
        return f"{self.strategy.name}({given})"

    def run(
        self,
        pool: Arrays,
        count: int,
        constraints: Constraints | None = None,
        *,
        block_rows: int = ROWS,
        references: Arrays | None = None,
        cancel: CancelToken | None = None,
    ) -> Picking:
        """Picks from a pool that arrives in blocks of that many rows."""
        given = self.references() if references is None else references
        return picking_of(
            self.strategy.name,
            count,
            constraints=constraints,
            cancel=cancel,
            seed=SEED,
            block_rows=block_rows,
            **pool,
            **given,
            **self.given,
        )

    def pool(self, rows: int = ROWS) -> Arrays:
        """Different rows for each tensor that the strategy needs, exact in float32."""
        return {need[0].name: values_of(need[0], {"N": rows}) for need in self.strategy.needs}

    def references(self) -> Arrays:
        """Values for each reference tensor that the strategy takes but those all strategies do."""
        return {t.name: values_of(t, {}) for t in self.strategy.references}

    def without_context(self) -> Arrays:
        return {t.name: values_of(t, {}) for t in self.strategy.references if t.required}


def values_of(tensor: TensorInput, sizes: Mapping[str, int]) -> np.ndarray:
    """Values that such a tensor may hold."""
    shape = [(SIZES | sizes)[letter] for letter in tensor.shape]
    seed = sum(map(ord, tensor.name))
    if np.dtype(np.bool_) in tensor.dtypes:
        return np.random.default_rng(seed).integers(0, 2, size=shape)
    if shape and tensor.shape[-1] == "C":
        rows = int(np.prod(shape[:-1]))
        return probability_rows(rows, shape[-1], seed).reshape(shape)
    return np.random.default_rng(seed).integers(1, 512, size=shape) / 64


def cases() -> list[Case]:
    """Every whole-pool strategy as it is by default."""
    return [Case(s, required(s.parameters)) for s in whole_pool_strategies()]


def varied_cases() -> list[Case]:
    """Every whole-pool strategy with one parameter changed at a time."""
    return [Case(s, given) for s in whole_pool_strategies() for given in variants(s.parameters)]


def whole_pool_strategies() -> list[Strategy]:
    return [s for s in all_strategies().values() if s.kind == "whole_pool"]


def checks_of(case: Case) -> Iterator[Callable[[Case], None]]:
    """The checks that a case's declaration asks for."""
    yield check_as_many_rows_as_there_are_and_none_twice
    yield check_the_same_seed_gives_the_same_picks
    yield check_neither_blocks_nor_number_types_change_the_picks
    yield check_excluded_rows_never_come_back_and_all_others_do
    yield check_no_group_gives_more_than_its_quota
    yield check_no_two_picks_are_closer_than_they_may_be
    yield check_the_picks_cost_no_more_than_the_budget
    yield check_all_constraints_are_kept_together
    yield check_cancelled_work_stops
    yield check_the_first_bad_row_is_named
    yield check_what_is_sent_is_left_as_it_was
    if not case.strategy.may_pick_fewer:
        yield check_copies_are_all_picked_in_the_end
    if not case.strategy.stochastic:
        yield check_of_equal_rows_the_lowest_come_first
    if any(not t.required and t.shape[0] == "L" for t in case.strategy.references):
        yield check_an_empty_context_is_none
    if METRIC in case.strategy.parameters:
        yield check_far_from_the_origin_the_picks_are_the_same


def check_as_many_rows_as_there_are_and_none_twice(case: Case) -> None:
    for rows, count in ((0, 3), (1, 1), (1, 4), (2, 5), (ROWS, 1), (ROWS, ROWS), (ROWS, ROWS + 1)):
        picking = case.run(case.pool(rows), count)
        assert as_many(case, len(picking.rows), min(rows, count))
        assert len(set(picking.rows.tolist())) == len(picking.rows)
        assert set(picking.rows.tolist()) <= set(range(rows))
        assert np.isfinite(picking.gains).all()
        assert len(picking.gains) == len(picking.rows)


def as_many(case: Case, found: int, most: int) -> bool:
    """Whether a batch has all rows that it could have, or some where fewer can be better."""
    return found == most or (case.strategy.may_pick_fewer and 0 < found < most)


def check_the_same_seed_gives_the_same_picks(case: Case) -> None:
    same_picks(case.run(case.pool(), 20), case.run(case.pool(), 20))


def check_neither_blocks_nor_number_types_change_the_picks(case: Case) -> None:
    pool = case.pool()
    whole = case.run(pool, 20)
    for block_rows in (1, 7):
        same_picks(case.run(pool, 20, block_rows=block_rows), whole)
    same_picks(case.run({n: a.astype(np.float32) for n, a in pool.items()}, 20), whole)


def check_copies_are_all_picked_in_the_end(case: Case) -> None:
    few = {name: np.repeat(values, 4, axis=0) for name, values in case.pool(5).items()}
    assert sorted(case.run(few, 20).rows.tolist()) == list(range(20))


def check_of_equal_rows_the_lowest_come_first(case: Case) -> None:
    same = {name: np.repeat(values, ROWS, axis=0) for name, values in case.pool(1).items()}
    np.testing.assert_array_equal(case.run(same, 20).rows, np.arange(20))


def check_excluded_rows_never_come_back_and_all_others_do(case: Case) -> None:
    picking = case.run(case.pool(), ROWS, Constraints(excluded=np.arange(0, ROWS, 3)))
    others = {row for row in range(ROWS) if row % 3}
    assert set(picking.rows.tolist()) <= others
    assert as_many(case, len(picking.rows), len(others))
    assert not len(case.run(case.pool(), 5, Constraints(excluded=np.arange(ROWS))).rows)


def grouped() -> np.ndarray:
    return np.arange(ROWS) % 5


def check_no_group_gives_more_than_its_quota(case: Case) -> None:
    limits = Limits(max_per_group=3, quotas={1: 0, 2: 5})
    picking = case.run(case.pool(), ROWS, Constraints(limits, groups=grouped()))
    counts = np.bincount(grouped()[picking.rows], minlength=5)
    assert (counts <= [3, 0, 5, 3, 3]).all()
    assert as_many(case, counts.sum(), 14)


def places() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(ROWS, 2)).astype(np.float32)


def check_no_two_picks_are_closer_than_they_may_be(case: Case) -> None:
    limits = Limits(min_distance=0.5)
    rows = case.run(case.pool(), ROWS, Constraints(limits, places=places())).rows
    between = np.linalg.norm(places()[:, None] - places()[rows], axis=2)
    apart = between[rows] + np.where(np.eye(len(rows)), np.inf, 0)
    assert apart.min() >= 0.5
    # No other row would have kept to it.
    assert (between.min(axis=1) < 0.5).all() or case.strategy.may_pick_fewer


def costs() -> np.ndarray:
    return np.random.default_rng(5).uniform(0.5, 2.0, ROWS)


def check_the_picks_cost_no_more_than_the_budget(case: Case) -> None:
    limits = Limits(cost_budget=8.0)
    picking = case.run(case.pool(), ROWS, Constraints(limits, costs=costs()))
    assert len(picking.rows)
    assert picking.spent == pytest.approx(costs()[picking.rows].sum())
    assert picking.spent <= 8.0


def check_all_constraints_are_kept_together(case: Case) -> None:
    limits = Limits(cost_budget=12.0, max_per_group=2, min_distance=0.3)
    constraints = Constraints(limits, np.arange(10), costs(), grouped(), places())
    rows = case.run(case.pool(), ROWS, constraints).rows
    assert len(rows)
    assert rows.min() >= 10
    assert costs()[rows].sum() <= 12.0
    assert np.bincount(grouped()[rows]).max() <= 2
    between = np.linalg.norm(places()[rows][:, None] - places()[rows], axis=2)
    assert (between + np.where(np.eye(len(rows)), np.inf, 0)).min() >= 0.3


def check_cancelled_work_stops(case: Case) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        case.run(case.pool(), 5, cancel=cancel)


def check_the_first_bad_row_is_named(case: Case) -> None:
    for name, values in case.pool().items():
        for bad in (np.nan, np.inf, -np.inf):
            broken = values.astype(np.float64)
            broken[[41, 50]] = bad
            for block_rows in (1, 7, ROWS):
                with pytest.raises(InvalidRequest) as refusal:
                    case.run(case.pool() | {name: broken}, 5, block_rows=block_rows)
                (violation,) = refusal.value.violations
                assert violation.field == name
                assert violation.description.startswith("row 41 ")


def check_what_is_sent_is_left_as_it_was(case: Case) -> None:
    pool = case.pool()
    for values in pool.values():
        values.flags.writeable = False  # what arrives from the wire is
    case.run(pool, 5)


def check_an_empty_context_is_none(case: Case) -> None:
    empty = {
        t.name: values_of(t, {"L": 0})
        for t in case.strategy.references
        if not t.required and t.shape[0] == "L"
    }
    references = case.without_context()
    same_picks(
        case.run(case.pool(), 20, references=references | empty),
        case.run(case.pool(), 20, references=references),
    )


def check_far_from_the_origin_the_picks_are_the_same(case: Case) -> None:
    pool, references = case.pool(), case.references()
    far = case.run(moved(pool), 20, references=moved(references))
    same_picks(far, case.run(pool, 20, references=references))


def moved(arrays: Arrays) -> Arrays:
    return {n: a + 1e4 if n.endswith("embeddings") else a for n, a in arrays.items()}


def same_picks(found: Picking, expected: Picking) -> None:
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.gains, expected.gains)
