"""From the columns of a whole pool to an answer; meanwhile, how far that is."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import Cancelled
from nextlabel_server.rpc.calls import Call
from nextlabel_server.rpc.columns import Columns
from nextlabel_server.rpc.plan import Plan
from nextlabel_server.selection import (
    Constraints,
    Gatherer,
    Items,
    NearestPicks,
    Picking,
    Picks,
    Scorer,
    Screener,
    Shortlist,
    nearest_picks,
    pick_by_score,
)
from nextlabel_server.selection.ranking import Scores

T = TypeVar("T")

TELL_SECONDS = 0.25

Told = Generator[tuple[int, int], None, T]
"""Yields (picks made, picks wanted) now and then, and returns a T."""

Start = Callable[[Callable[[], Any]], Future[Any]]
"""Starts work in compute threads."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The picks; the scores of all rows, and what the picks stand for, if they were asked for."""

    picks: Picks
    scores: Scores
    nearest: NearestPicks | None = None


class Selecting:
    """Picks from a pool that is all there.

    Args:
        plan: what was asked for.
        call: whose token stops it, and where its seconds are counted.
        intake: what the columns came from.
        items: those that the rows are parts of, if they are.
        short: starts work that is done soon.
        long: starts work that may take long.

    Attributes:
        answer: there once `run` has come to its end.
    """

    answer: Answer

    def __init__(
        self,
        plan: Plan,
        call: Call,
        intake: Scorer | Screener | Gatherer | None,
        items: Items | None,
        *,
        short: Start,
        long: Start,
    ) -> None:
        self._plan = plan
        self._call = call
        self._intake = intake
        self._items = items
        self._short = short
        self._long = long

    def run(self, store: Columns | Shortlist, count: int) -> Iterator[tuple[int, int]]:
        """Picks from `count` rows, or items, of which the store has the columns.

        Yields how many picks are made, of how many at most, now and then.
        """
        query = self._plan.query
        columns = store.all()
        constraints = Constraints(
            limits=query.limits,
            excluded=self._plan.excluded(),
            costs=columns.pop("costs", None),
            groups=columns.pop("groups", None),
            places=columns.pop("places", None),
        )
        constraints.check()
        wanted = query.budget.rows(count)
        check = self._call.cancel.check
        picking = Picking(count, wanted, constraints, check=check)
        kept = None  # the rows that are left to pick from, where not all are
        left = columns
        if isinstance(store, Shortlist):
            listed = columns.pop("rows")
            eligible = ~np.isin(listed, constraints.excluded)
            kept, left = listed[eligible], {"scores": columns["scores"][eligible]}
        elif query.prefilter is not None:
            by = columns.pop("prefilter", np.empty(0))  # an empty pool has no columns
            bought = picking.left if query.limits.cost_budget is not None else wanted
            kept = query.prefilter.rows(by, bought, constraints.excluded)
            left = {name: values[kept] for name, values in columns.items()}
        if kept is None:
            scores = yield from self._pick(left, picking)
            picks = Picks.of(picking, query, count)
        else:
            part = Picking(len(kept), wanted, constraints.at(kept), check=check)
            scores = yield from self._pick(left, part)
            picks = Picks.of(part, query, count)
            picks = replace(picks, rows=kept[picks.rows], eligible=picking.eligible)
        nearest = None
        if query.return_nearest_picks and len(picks.rows):
            made = len(picks.rows)
            work = partial(nearest_picks, columns["embeddings"], picks.rows, check)
            nearest = yield from self._told(self._long(work), lambda: (made, made))
        self.answer = Answer(picks, scores if query.return_all_scores else scores[:0], nearest)

    def _pick(self, columns: dict[str, npt.NDArray[Any]], picking: Picking) -> Told[Scores]:
        """Picks, and returns the scores of all rows where the strategy gives them."""
        query = self._plan.query

        def rank() -> Scores:
            # Whoever draws nothing need not wait for a generator, which takes its time to be made.
            rng = query.generator() if query.draws else None
            scores = columns.get("scores", np.empty(0))
            if not self._plan.sources:
                scores = query.strategy.score(rng, len(picking.open))
            elif self._items is not None:
                how, empty = query.parameters["reduce"], query.parameters["empty_score"]
                scores = self._items.reduce(scores, how, empty)
            pick_by_score(query, scores, picking, rng)
            return scores

        def how_far() -> tuple[int, int]:
            return picking.made, picking.most

        if query.strategy.kind == "whole_pool" and isinstance(self._intake, Gatherer):
            pool = self._intake.pool(columns, len(picking.open), query.generator())
            own = {p.name: query.parameters[p.name] for p in query.strategy.own_parameters}
            work = partial(query.strategy.score, pool, picking, **own)
            yield from self._told(self._long(work), how_far)
            return np.empty(0)
        # Walking down the ranking, a pick at a time, may take long.
        start = self._long if picking.picks_close_others else self._short
        scores: Scores = yield from self._told(start(rank), how_far)
        return scores

    def _told(self, at_work: Future[T], how_far: Callable[[], tuple[int, int]]) -> Told[T]:
        """What the work gives; meanwhile says now and then how far it is."""
        while True:
            try:
                return at_work.result(TELL_SECONDS)
            except CancelledError:
                raise Cancelled from None
            except TimeoutError:
                if at_work.done():  # what it raised itself
                    raise
            self._call.cancel.check()
            yield how_far()
