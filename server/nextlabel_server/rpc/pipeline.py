"""From row blocks to columns: inferred and scored on arrival, while the next block is read."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextvars import copy_context
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import InvalidRequest, ModelUnfit, SelectionError
from nextlabel_server.inference import Batcher
from nextlabel_server.rpc.plan import Plan
from nextlabel_server.rpc.spent import Spent
from nextlabel_server.selection import ConstraintReader, Gatherer, Scorer

Rows = Mapping[str, npt.NDArray[Any]]
_BESIDE = "pool/"  # marks a tensor of the pool that travels with a batch of inputs

Columns = Mapping[str, npt.NDArray[Any]]


class Column:
    """Values in row order, with or without knowing how many rows will come."""

    def __init__(self, row_count: int) -> None:
        self._values: npt.NDArray[Any] | None = None
        self._row_count = max(row_count, 0)
        self._filled = 0

    def append(self, values: npt.NDArray[Any]) -> None:
        end = self._filled + len(values)
        if self._values is None:
            self._values = np.empty((max(self._row_count, end), *values.shape[1:]), values.dtype)
        if end > len(self._values):
            # Reallocated in place where the system can, so that the peak is not twice the size.
            rows = max(end, len(self._values) * 3 // 2)
            self._values.resize((rows, *values.shape[1:]), refcheck=False)
        self._values[self._filled : end] = values
        self._filled = end

    def all(self) -> npt.NDArray[Any]:
        return np.empty(0) if self._values is None else self._values[: self._filled]


class Pipeline:
    """Makes columns of the blocks of one call, a few blocks at a time in the compute threads.

    The first block is done before the next begins, as the rest may depend on it.

    Args:
        plan: the validated header.
        intake: makes scores of a block, or what a whole-pool strategy keeps of it.
        compute: the threads that all calls share: the compute gate.
        ahead: how many blocks of this call may be in work at once.
        cancel: stops it.
        spent: where its seconds are counted.

    Attributes:
        classes: how many the models give, once a batch has been run.
    """

    def __init__(
        self,
        plan: Plan,
        intake: Scorer | Gatherer,
        compute: Executor,
        *,
        ahead: int,
        cancel: CancelToken,
        spent: Spent,
    ) -> None:
        self._intake = intake
        self._constraints = ConstraintReader(plan.query.limits)
        self._compute = compute
        self._ahead = ahead
        self._cancel = cancel
        self._spent = spent
        self._in_work: deque[Future[Columns]] = deque()
        self._row_count = plan.row_count
        self._columns: dict[str, Column] = {}
        self._next_row = 0
        self._models = plan.models
        self._passes = plan.passes
        self._seed = plan.query.seed
        self._batcher: Batcher | None = None
        self.classes = 0
        if plan.batch_rows:
            self._batcher = Batcher(plan.batch_rows)
        else:
            shapes = {t.name: t.shape for t in plan.pool}
            for source in intake.sources:
                intake.check_row_shape(source, shapes[source.name][1:])

    @property
    def rows_scored(self) -> int:
        return max((len(column.all()) for column in self._columns.values()), default=0)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the columns so far, by name."""
        return {name: column.all().shape for name, column in self._columns.items()}

    def add(self, pool: Rows, inputs: Rows, row_count: int) -> None:
        """Takes the next rows; waits while enough of them are in work.

        Raises:
            SelectionError: what an earlier block or this one turned out to be wrong with.
        """
        if self._batcher is not None:
            beside = {_BESIDE + name: values for name, values in pool.items()}
            for first_row, batch in self._batcher.add({**inputs, **beside}):
                self._submit(partial(self._infer, batch, first_row))
        else:
            self._submit(partial(self._take, pool, self._next_row))
        self._next_row += row_count

    def finish(self) -> Columns:
        """Waits for everything and returns the columns of all rows by name."""
        if self._batcher is not None:
            for first_row, batch in self._batcher.finish():
                self._submit(partial(self._infer, batch, first_row))
        while self._in_work:
            self._collect()
        return {name: column.all() for name, column in self._columns.items()}

    def run(self, work: Callable[[], None]) -> None:
        """Does what comes after the last block in the compute threads too, and waits for it."""
        self._compute.submit(copy_context().run, self._select, work).result()

    def _select(self, work: Callable[[], None]) -> None:
        start = time.perf_counter()
        work()
        self._spent.add("selection", start)

    def abandon(self) -> None:
        """Drops what has not started; for a call that ends early."""
        for future in self._in_work:
            future.cancel()

    def _submit(self, work: Callable[[], Columns]) -> None:
        ahead = self._ahead if self._columns else 1
        while len(self._in_work) >= ahead or (self._in_work and self._in_work[0].done()):
            self._collect()
        self._cancel.check()
        context = copy_context()  # what is logged in there names the call, too
        work_at_once = partial(context.run, self._work, work, time.perf_counter())
        self._in_work.append(self._compute.submit(work_at_once))

    def _collect(self) -> None:
        # In row order, so that the first bad row is the one that is reported.
        for name, values in self._in_work.popleft().result().items():
            self._columns.setdefault(name, Column(self._row_count)).append(values)

    def _work(self, work: Callable[[], Columns], submitted: float) -> Columns:
        self._spent.add("queue", submitted)
        self._cancel.check()
        return work()

    def _take(self, arrays: Rows, first_row: int) -> Columns:
        start = time.perf_counter()
        columns = dict(self._intake.take(arrays, first_row))
        columns |= self._constraints.take(arrays, first_row)
        self._spent.add("selection", start)
        return columns

    def _infer(self, batch: Rows, first_row: int) -> Columns:
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

    def _outputs(self, batch: Rows, first_row: int) -> Rows:
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

    def _models_fault(self, error: InvalidRequest, outputs: Rows) -> SelectionError:
        """Bad values that a model gave are its fault, and not the request's."""
        violation = error.violations[0]
        if violation.field not in outputs:
            return error
        models = ", ".join(map(str, self._models))
        return ModelUnfit(f"the {violation.field} of {models}: {violation.description}")
