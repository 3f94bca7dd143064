"""Blocks of any size in, batches of one size out."""

from collections.abc import Iterator, Mapping

import numpy as np

Batch = tuple[int, dict[str, np.ndarray]]


class Batcher:
    """Cuts a stream of row blocks into batches: batch k is rows [k*b, (k+1)*b) of the pool.

    So what a model computes for a row does not depend on how the sender cut the blocks (see
    `batch_size`). Rows that wait for the rest of their batch are copied out of their block; all
    others are views of it. At most one batch is held between calls, and no block.

        batcher = Batcher(batch_size)
        for block in blocks:
            for first_row, batch in batcher.add(block): ...
        for first_row, batch in batcher.finish(): ...
    """

    def __init__(self, batch_size: int) -> None:
        self._size = batch_size
        self._next_row = 0
        self._waiting: dict[str, np.ndarray] = {}
        self._waiting_rows = 0

    def add(self, block: Mapping[str, np.ndarray]) -> Iterator[Batch]:
        """Yields (first row in the pool, tensors by name) for each batch that is now complete.

        All arrays have the same rows, and the types and row shapes of the blocks before. To be
        iterated to its end: rows wait in it.
        """
        rows = len(next(iter(block.values())))
        start = 0
        if self._waiting_rows:
            start = min(rows, self._size - self._waiting_rows)
            self._keep(block, 0, start)
            if self._waiting_rows == self._size:
                yield from self.finish()
        while rows - start >= self._size:
            stop = start + self._size
            yield self._number({name: values[start:stop] for name, values in block.items()})
            start = stop
        if start < rows:
            self._keep(block, start, rows)

    def finish(self) -> Iterator[Batch]:
        """Yields the rows that still wait, fewer than a whole batch, if there are any."""
        if self._waiting_rows:
            batch = {name: values[: self._waiting_rows] for name, values in self._waiting.items()}
            # A fresh buffer for the next one: this batch may still be waiting for its run.
            self._waiting, self._waiting_rows = {}, 0
            yield self._number(batch)

    def _keep(self, block: Mapping[str, np.ndarray], start: int, stop: int) -> None:
        end = self._waiting_rows + stop - start
        for name, values in block.items():
            if name not in self._waiting:
                self._waiting[name] = np.empty((self._size, *values.shape[1:]), values.dtype)
            self._waiting[name][self._waiting_rows : end] = values[start:stop]
        self._waiting_rows = end

    def _number(self, batch: dict[str, np.ndarray]) -> Batch:
        first_row = self._next_row
        self._next_row += len(next(iter(batch.values())))
        return first_row, batch
