"""From row blocks to columns: inferred and scored on arrival, while the next block is read."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, Future, wait
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, InvalidRequest, ModelUnfit
from nextlabel_server.inference import Batch, Batcher
from nextlabel_server.rpc.columns import Columns
from nextlabel_server.rpc.committee import Arrays, Committee, with_pool
from nextlabel_server.rpc.gates import Gates
from nextlabel_server.rpc.plan import Plan
from nextlabel_server.rpc.portion import batches_together
from nextlabel_server.rpc.spent import Spent
from nextlabel_server.selection import ConstraintReader, Gatherer, Scorer, Screener, Shortlist

_PIECE_BYTES = 2 << 20

Result = TypeVar("Result")


class Pipeline:
    """Makes columns of the blocks of one call, a few blocks at a time in the compute threads.

    The first block is done before the next begins, as the rest may depend on it.

    Args:
        plan: the validated header.
        intake: makes scores of a block, or what a whole-pool strategy keeps of it.
        store: keeps what the intake makes of each block.
        gates: where blocks and batches are worked on.
        ahead: how many portions of this call's batches may be in work at once.
        cancel: stops it.
        spent: where its seconds are counted.
    """

    def __init__(
        self,
        plan: Plan,
        intake: Scorer | Screener | Gatherer,
        store: Columns | Shortlist,
        gates: Gates,
        *,
        ahead: int,
        cancel: CancelToken,
        spent: Spent,
    ) -> None:
        self._intake = intake
        self._constraints = ConstraintReader(plan.query.limits)
        self._gates = gates
        self._ahead = ahead
        self._cancel = cancel
        self._spent = spent
        self._in_work: deque[tuple[int, Future[Arrays]]] = deque()  # each with its rows
        self._portion = 1  # how many batches are handed over together
        self._after: Future[Any] | None = None
        self._store = store
        self._next_row = 0
        self.rows_scored = 0
        self._committee = Committee(plan, intake.activation, cancel)
        self._batcher: Batcher | None = None
        if plan.batch_rows:
            self._batcher = Batcher(plan.batch_rows)
        plan.check_row_shapes(intake)

    @property
    def classes(self) -> int:
        """How many the models give, once a batch has been run."""
        return self._committee.classes

    def add(self, pool: Arrays, inputs: Arrays, row_count: int) -> None:
        """Takes the next rows; waits while enough of them are in work.

        Raises:
            SelectionError: what an earlier block or this one turned out to be wrong with.
        """
        if self._batcher is not None:
            batches = self._batcher.add(with_pool(inputs, pool))
            while portion := list(islice(batches, self._portion)):
                self._infer_later(portion)
        else:
            self._take_here(pool, row_count)
        self._next_row += row_count

    def _take_here(self, pool: Arrays, row_count: int) -> None:
        """Takes rows in this thread, no more at a time than is good for its caches."""
        row_bytes = sum(rows.nbytes for rows in pool.values()) // row_count
        step = max(1, _PIECE_BYTES // max(row_bytes, 1))
        for start in range(0, row_count, step):
            piece = {name: rows[start : start + step] for name, rows in pool.items()}
            waiting_since = time.perf_counter()
            with self._gates.turns:
                self._spent.add("queue", waiting_since)
                self._cancel.check()
                self._store.add(self._take(piece, self._next_row + start))
        self.rows_scored += row_count

    def finish(self) -> None:
        """Waits until everything is in the store."""
        if self._batcher is not None:
            for batch in self._batcher.finish():
                self._infer_later([batch])
        while self._in_work:
            self._collect()

    def start(self, work: Callable[[], Result], gate: Executor) -> Future[Result]:
        """Begins what comes after the last block, behind a gate too."""
        started = gate.submit(copy_context().run, self._select, work, time.perf_counter())
        self._after = started
        return started

    def _select(self, work: Callable[[], Result], submitted: float) -> Result:
        self._spent.add("queue", submitted)
        self._cancel.check()
        start = time.perf_counter()
        result = work()
        self._spent.add("selection", start)
        return result

    def abandon(self) -> None:
        """Drops what has not started, and waits for what holds the whole pool."""
        for _, future in self._in_work:
            future.cancel()
        if self._after is not None and not self._after.cancel():
            wait([self._after])

    def _infer_later(self, portion: Sequence[Batch]) -> None:
        ahead = self._ahead if self.rows_scored else 1
        while len(self._in_work) >= ahead or (self._in_work and self._in_work[0][1].done()):
            self._collect()
        self._cancel.check()
        context = copy_context()  # what is logged in there names the call, too
        work = partial(context.run, self._infer, portion, time.perf_counter())
        rows = sum(len(next(iter(batch.values()))) for _, batch in portion)
        self._in_work.append((rows, self._gates.short.submit(work)))

    def _collect(self) -> None:
        # In row order, so that the first bad row is the one that is reported.
        row_count, future = self._in_work.popleft()
        self._store.add(self._result(future))
        self.rows_scored += row_count

    def _result(self, future: Future[Result]) -> Result:
        """Waits for it; not for its turn when the caller has gone."""
        with self._cancel.on_cancel(future.cancel):
            try:
                return future.result()
            except CancelledError:
                raise Cancelled from None

    def _take(self, arrays: Arrays, first_row: int) -> Arrays:
        start = time.perf_counter()
        columns = dict(self._intake.take(arrays, first_row))
        columns |= self._constraints.take(arrays, first_row)
        self._spent.add("selection", start)
        return columns

    def _infer(self, portion: Sequence[Batch], submitted: float) -> Arrays:
        """Runs the models batch by batch, and takes what they give for all of them at once."""
        self._spent.add("queue", submitted)
        start = time.perf_counter()
        outputs: list[Arrays] = []
        try:
            for first_row, batch in portion:
                outputs.append(self._committee.run(batch, first_row))
        except (InvalidRequest, ModelUnfit):
            if outputs:
                self._take_outputs(outputs, portion[0][0])  # an earlier row may be bad, too
            raise
        self._spent.add("inference", start)
        size = sum(values.nbytes for arrays in outputs for values in arrays.values())
        self._portion = batches_together(len(outputs), time.perf_counter() - start, size)
        return self._take_outputs(outputs, portion[0][0])

    def _take_outputs(self, outputs: Sequence[Arrays], first_row: int) -> Arrays:
        arrays = outputs[0]
        if len(outputs) > 1:
            arrays = {name: np.concatenate([each[name] for each in outputs]) for name in arrays}
        try:
            if not first_row:  # all rows are of the shape of the first
                for source in self._intake.sources:
                    self._intake.check_row_shape(source, arrays[source.name].shape[1:])
            return self._take(arrays, first_row)
        except InvalidRequest as error:
            raise self._committee.at_fault(error, arrays) from error
