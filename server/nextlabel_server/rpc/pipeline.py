"""From row blocks to scores: inferred and scored on arrival, while the next block is read."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import InvalidRequest, ModelUnfit, SelectionError
from nextlabel_server.inference import Batcher, Model
from nextlabel_server.rpc.calls import Spent
from nextlabel_server.rpc.plan import Plan
from nextlabel_server.selection import Scorer

Rows = Mapping[str, npt.NDArray[Any]]
Scores = npt.NDArray[np.float64]


class ScoreStore:
    """Scores in row order: 8 bytes a row, with or without knowing how many will come."""

    def __init__(self, row_count: int) -> None:
        self._scores = np.empty(max(row_count, 0))
        self._filled = 0

    def append(self, scores: Scores) -> None:
        end = self._filled + len(scores)
        if end > len(self._scores):
            # Reallocated in place where the system can, so that the peak is not twice the size.
            self._scores.resize(max(end, len(self._scores) * 3 // 2), refcheck=False)
        self._scores[self._filled : end] = scores
        self._filled = end

    def all(self) -> Scores:
        return self._scores[: self._filled]


class Pipeline:
    """Turns the blocks of one call into scores, a few blocks at a time in the compute threads.

    Args:
        plan: the validated header.
        scorer: for its strategy.
        compute: the threads that all calls share: the compute gate.
        ahead: how many blocks of this call may be in work at once.
        cancel: stops it.
        spent: where its seconds are counted.
    """

    def __init__(
        self,
        plan: Plan,
        scorer: Scorer,
        compute: Executor,
        *,
        ahead: int,
        cancel: CancelToken,
        spent: Spent,
    ) -> None:
        self._scorer = scorer
        self._compute = compute
        self._ahead = ahead
        self._cancel = cancel
        self._spent = spent
        self._lock = threading.Lock()
        self._in_work: deque[Future[Scores]] = deque()
        self._store = ScoreStore(plan.row_count)
        self._next_row = 0
        self._models = plan.models
        self._batcher: Batcher | None = None
        if plan.models:
            declared = {t.name: (t.dtype, t.shape) for t in plan.inputs}
            rows = min(model.batch_size_for(declared) for model in plan.models)
            self._batcher = Batcher(rows)
        else:
            shape = next(t.shape for t in plan.pool if t.name == scorer.source.name)
            scorer.check_row_shape(shape[1:])

    @property
    def rows_scored(self) -> int:
        return len(self._store.all())

    def add(self, pool: Rows, inputs: Rows, row_count: int) -> None:
        """Takes the next rows; waits while enough of them are in work.

        Raises:
            SelectionError: what an earlier block or this one turned out to be wrong with.
        """
        if self._batcher is not None:
            for first_row, batch in self._batcher.add(inputs):
                self._submit(partial(self._infer, batch, first_row))
        else:
            self._submit(partial(self._score, pool[self._scorer.source.name], self._next_row))
        self._next_row += row_count

    def finish(self) -> Scores:
        """Waits for everything and returns the scores of all rows, [N] float64."""
        if self._batcher is not None:
            for first_row, batch in self._batcher.finish():
                self._submit(partial(self._infer, batch, first_row))
        while self._in_work:
            self._collect()
        return self._store.all()

    def abandon(self) -> None:
        """Drops what has not started; for a call that ends early."""
        for future in self._in_work:
            future.cancel()

    def _submit(self, work: Callable[[], Scores]) -> None:
        while len(self._in_work) >= self._ahead or (self._in_work and self._in_work[0].done()):
            self._collect()
        self._cancel.check()
        self._in_work.append(self._compute.submit(self._work, work, time.perf_counter()))

    def _collect(self) -> None:
        # In row order, so that the first bad row is the one that is reported.
        self._store.append(self._in_work.popleft().result())

    def _work(self, work: Callable[[], Scores], submitted: float) -> Scores:
        self._count("queue", time.perf_counter() - submitted)
        self._cancel.check()
        return work()

    def _score(self, block: npt.NDArray[np.floating], first_row: int) -> Scores:
        start = time.perf_counter()
        scores = self._scorer.score(block, first_row)
        self._count("selection", time.perf_counter() - start)
        return scores

    def _infer(self, batch: Rows, first_row: int) -> Scores:
        """Scores a batch of inputs: by one model's probabilities, or as several's committee."""
        start = time.perf_counter()
        members = [self._probabilities(model, batch, first_row) for model in self._models]
        self._count("inference", time.perf_counter() - start)
        if len({member.shape for member in members}) > 1:
            columns = ", ".join(str(member.shape[1]) for member in members)
            raise ModelUnfit(f"the models of this committee give {columns} classes")
        block = members[0] if len(members) == 1 else np.stack(members, axis=1)
        try:
            self._scorer.check_row_shape(block.shape[1:])
            return self._score(block, first_row)
        except InvalidRequest as error:
            raise self._models_fault(error) from error

    def _probabilities(self, model: Model, batch: Rows, first_row: int) -> npt.NDArray[np.floating]:
        outputs = model.run(
            batch, first_row=first_row, cancel=self._cancel, activation=self._scorer.activation
        )
        if outputs.probabilities is None:
            raise ModelUnfit(f"{model} gave no probabilities")
        return outputs.probabilities

    def _models_fault(self, error: InvalidRequest) -> SelectionError:
        """Bad probabilities that a model gave are its fault, and not the request's."""
        violation = error.violations[0]
        if violation.field != self._scorer.source.name:
            return error
        models = ", ".join(map(str, self._models))
        return ModelUnfit(f"the {violation.field} of {models}: {violation.description}")

    def _count(self, part: str, seconds: float) -> None:
        with self._lock:
            setattr(self._spent, part, getattr(self._spent, part) + seconds)
