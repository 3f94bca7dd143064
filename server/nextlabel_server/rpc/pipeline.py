"""From row blocks to columns: inferred and scored on arrival, while the next block is read."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor, Future, wait
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, InvalidRequest, ModelUnfit, SelectionError
from nextlabel_server.inference import Batcher
from nextlabel_server.rpc.columns import Columns
from nextlabel_server.rpc.gates import Gates
from nextlabel_server.rpc.plan import Plan
from nextlabel_server.rpc.spent import Spent
from nextlabel_server.selection import ConstraintReader, Gatherer, Scorer, Screener, Shortlist

Arrays = Mapping[str, npt.NDArray[Any]]
_BESIDE = "pool/"  # marks a tensor of the pool that travels with a batch of inputs

Result = TypeVar("Result")


class Pipeline:
    """Makes columns of the blocks of one call, a few blocks at a time in the compute threads.

    The first block is done before the next begins, as the rest may depend on it.

    Args:
        plan: the validated header.
        intake: makes scores of a block, or what a whole-pool strategy keeps of it.
        store: keeps what the intake makes of each block.
        gates: where blocks and batches are worked on.
        ahead: how many batches of this call may be in work at once.
        cancel: stops it.
        spent: where its seconds are counted.

    Attributes:
        classes: how many the models give, once a batch has been run.
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
        self._after: Future[Any] | None = None
        self._store = store
        self._next_row = 0
        self.rows_scored = 0
        self._models = plan.models
        self._passes = plan.passes
        self._seed = plan.query.seed
        self._batcher: Batcher | None = None
        self.classes = 0
        if plan.batch_rows:
            self._batcher = Batcher(plan.batch_rows)
        plan.check_row_shapes(intake)

    def add(self, pool: Arrays, inputs: Arrays, row_count: int) -> None:
        """Takes the next rows; waits while enough of them are in work.

        Raises:
            SelectionError: what an earlier block or this one turned out to be wrong with.
        """
        if self._batcher is not None:
            beside = {_BESIDE + name: values for name, values in pool.items()}
            for first_row, batch in self._batcher.add({**inputs, **beside}):
                self._infer_later(batch, first_row)
        else:
            self._take_here(pool, row_count)
        self._next_row += row_count

    def _take_here(self, pool: Arrays, row_count: int) -> None:
        waiting_since = time.perf_counter()
        with self._gates.turns:
            self._spent.add("queue", waiting_since)
            self._cancel.check()
            self._store.add(self._take(pool, self._next_row))
        self.rows_scored += row_count

    def finish(self) -> None:
        """Waits until everything is in the store."""
        if self._batcher is not None:
            for first_row, batch in self._batcher.finish():
                self._infer_later(batch, first_row)
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

    def _infer_later(self, batch: Arrays, first_row: int) -> None:
        rows = len(next(iter(batch.values())))
        self._submit(partial(self._infer, batch, first_row), rows)

    def _submit(self, work: Callable[[], Arrays], row_count: int) -> None:
        ahead = self._ahead if self.rows_scored else 1
        while len(self._in_work) >= ahead or (self._in_work and self._in_work[0][1].done()):
            self._collect()
        self._cancel.check()
        context = copy_context()  # what is logged in there names the call, too
        work_at_once = partial(context.run, self._work, work, time.perf_counter())
        self._in_work.append((row_count, self._gates.short.submit(work_at_once)))

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

    def _work(self, work: Callable[[], Arrays], submitted: float) -> Arrays:
        self._spent.add("queue", submitted)
        self._cancel.check()
        return work()

    def _take(self, arrays: Arrays, first_row: int) -> Arrays:
        start = time.perf_counter()
        columns = dict(self._intake.take(arrays, first_row))
        columns |= self._constraints.take(arrays, first_row)
        self._spent.add("selection", start)
        return columns

    def _infer(self, batch: Arrays, first_row: int) -> Arrays:
        """Takes what the models give for a batch: one's outputs, or the committee of several."""
        start = time.perf_counter()
        arrays = self._outputs(batch, first_row)
        self._spent.add("inference", start)
        try:
            for source in self._intake.sources:
                self._intake.check_row_shape(source, arrays[source.name].shape[1:])
            return self._take(arrays, first_row)
        except InvalidRequest as error:
            raise self._models_fault(error, arrays) from error

    def _outputs(self, batch: Arrays, first_row: int) -> Arrays:
        """The models' outputs by the names of the tensors that they stand for."""
        runs = [
            model.run(
                batch,
                first_row=first_row,
                cancel=self._cancel,
                activation=self._intake.activation,
                passes=passes,
                seed=self._seed,
            )
            for model, passes in zip(self._models, self._passes, strict=True)
        ]
        arrays = {
            name.removeprefix(_BESIDE): values
            for name, values in batch.items()
            if name.startswith(_BESIDE)
        }
        members = [member for run in runs for member in run.members]
        if len({member.shape for member in members}) > 1:
            columns = ", ".join(str(member.shape[1]) for member in members)
            raise ModelUnfit(f"the models of this committee give {columns} classes")
        if members:
            self.classes = members[0].shape[1]
        if len(members) == 1:
            arrays["probabilities"] = members[0]
        elif members:
            arrays["committee"] = np.stack(members, axis=1)
        if runs[0].embeddings is not None:
            arrays["embeddings"] = runs[0].embeddings
        return arrays

    def _models_fault(self, error: InvalidRequest, outputs: Arrays) -> SelectionError:
        """Bad values that a model gave are its fault, and not the request's."""
        violation = error.violations[0]
        if violation.field not in outputs:
            return error
        models = ", ".join(map(str, self._models))
        return ModelUnfit(f"the {violation.field} of {models}: {violation.description}")
