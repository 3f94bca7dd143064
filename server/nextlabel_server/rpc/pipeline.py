"""From row blocks to columns: inferred and scored on arrival, while the next block is read.

Models run in compute threads. Rows are scored by the thread that reads them, those that a model
gave like those that the sender did: handing them over costs more than scoring (measured).
"""

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
from nextlabel_server.rpc.turns import Turn
from nextlabel_server.selection import ConstraintReader, Gatherer, Scorer, Screener, Shortlist

_PIECE_BYTES = 2 << 20

# Scoring takes some 0.2 ms each time when the runs of a model have just filled the caches. So what
# batches give is gathered, and scored together: not much of it, and not much later.
OUTPUT_BYTES = 1 << 20
OUTPUT_SECONDS = 0.05

Inferred = tuple[Sequence[Arrays], InvalidRequest | ModelUnfit | None]
"""What the models gave for batches, up to the one that failed."""
Result = TypeVar("Result")


class Pipeline:
    """Makes columns of the blocks of one call, its models' runs a few portions at a time.

    The first batch is done before the next begins, as the rest may depend on it.

    Args:
        plan: the validated header.
        intake: makes scores of a block, or what a whole-pool strategy keeps of it.
        store: keeps what the intake makes of each block.
        gates: where batches are worked on.
        turn: in which blocks are.
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
        turn: Turn,
        *,
        ahead: int,
        cancel: CancelToken,
        spent: Spent,
    ) -> None:
        self._intake = intake
        self._constraints = ConstraintReader(plan.query.limits)
        self._gates = gates
        self._turn = turn
        self._ahead = ahead
        self._cancel = cancel
        self._spent = spent
        self._in_work: deque[Future[Inferred]] = deque()
        self._portion = 1  # how many batches are handed over together
        self._after: Future[Any] | None = None
        self._store = store
        self.rows_scored = 0
        self._outputs: list[Arrays] = []  # of batches whose rows are not scored yet
        self._taken_at = -np.inf
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
            self._take(pool, row_count)

    def finish(self) -> None:
        """Waits until everything is in the store."""
        if self._batcher is not None:
            for batch in self._batcher.finish():
                self._infer_later([batch])
        while self._in_work:
            self._collect()
        self._take_outputs()

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
        for future in self._in_work:
            future.cancel()
        if self._after is not None and not self._after.cancel():
            wait([self._after])

    def _infer_later(self, portion: Sequence[Batch]) -> None:
        ahead = self._ahead if self.rows_scored else 1
        while len(self._in_work) >= ahead or (self._in_work and self._in_work[0].done()):
            self._collect()
        self._cancel.check()
        context = copy_context()  # what is logged in there names the call, too
        work = partial(context.run, self._infer, portion, time.perf_counter())
        self._in_work.append(self._gates.short.submit(work))

    def _collect(self) -> None:
        # In row order, so that the first bad row is the one that is reported.
        outputs, failure = self._result(self._in_work.popleft())
        self._outputs += outputs
        size = sum(values.nbytes for arrays in self._outputs for values in arrays.values())
        waited = time.perf_counter() - self._taken_at
        if failure is not None or size >= OUTPUT_BYTES or waited >= OUTPUT_SECONDS:
            self._take_outputs()
        if failure is not None:
            raise failure

    def _result(self, future: Future[Result]) -> Result:
        """Waits for it; not for its turn when the caller has gone."""
        with self._cancel.on_cancel(future.cancel):
            try:
                return future.result()
            except CancelledError:
                raise Cancelled from None

    def _infer(self, portion: Sequence[Batch], submitted: float) -> Inferred:
        """Runs the models batch by batch."""
        self._spent.add("queue", submitted)
        start = time.perf_counter()
        outputs: list[Arrays] = []
        try:
            for first_row, batch in portion:
                outputs.append(self._committee.run(batch, first_row))
        except (InvalidRequest, ModelUnfit) as error:
            return outputs, error  # an earlier row may be bad, too
        self._spent.add("inference", start)
        size = sum(values.nbytes for arrays in outputs for values in arrays.values())
        self._portion = batches_together(len(outputs), time.perf_counter() - start, size)
        return outputs, None

    def _take_outputs(self) -> None:
        """Takes what the models gave since this was last done."""
        if not self._outputs:
            return
        arrays, *more = self._outputs
        if more:
            arrays = {name: np.concatenate([v[name] for v in self._outputs]) for name in arrays}
        self._outputs.clear()
        try:
            if not self.rows_scored:  # all rows are of the shape of the first
                for source in self._intake.sources:
                    self._intake.check_row_shape(source, arrays[source.name].shape[1:])
            self._take(arrays, len(next(iter(arrays.values()))))
        except InvalidRequest as error:
            raise self._committee.at_fault(error, arrays) from error
        self._taken_at = time.perf_counter()

    def _take(self, arrays: Arrays, row_count: int) -> None:
        """Takes the next rows in this thread, no more at a time than is good for its caches."""
        row_bytes = sum(rows.nbytes for rows in arrays.values()) // row_count
        step = max(1, _PIECE_BYTES // max(row_bytes, 1))
        for start in range(0, row_count, step):
            piece = {name: rows[start : start + step] for name, rows in arrays.items()}
            with self._turn:
                self._cancel.check()
                columns = dict(self._intake.take(piece, self.rows_scored))
                columns |= self._constraints.take(piece, self.rows_scored)
                self._store.add(columns)
            self.rows_scored += min(step, row_count - start)
