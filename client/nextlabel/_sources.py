"""Where the rows of a tensor come from: arrays, files, tables and iterators of batches.

Nothing here holds a pool a second time: arrays and memory maps are sliced, files and tables
are read a batch at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nextlabel.errors import InvalidRequestError, invalid

Array: TypeAlias = npt.NDArray[Any]
UNKNOWN_ROWS = -1
TEXT = "OUT"
"""The kinds of dtypes that hold text."""


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one tensor.

    `row_count` is -1 when only the end tells it. `batches` starts from the first row at every
    call, unless the source can be read only once (`repeatable` is false).
    """

    name: str
    dtype: np.dtype
    row_shape: tuple[int, ...]
    row_count: int
    batches: Callable[[], Iterator[Array]]
    repeatable: bool = True

    @property
    def is_text(self) -> bool:
        """Whether the elements are text, whose size only encoding it tells."""
        return self.dtype.kind in TEXT

    @property
    def row_bytes(self) -> int:
        """Bytes a row takes; at least, for text."""
        size = 1 if self.is_text else self.dtype.itemsize
        return max(1, size * int(np.prod(self.row_shape, dtype=np.int64)))


def source_of(name: str, rows: object) -> Source:
    """A source for whatever holds the rows.

    Args:
        name: what errors call the tensor.
        rows: a numpy array or memory map, anything with `__arrow_c_stream__`, `__dlpack__` or
            `__array__`, nested sequences, a path of a `.npy` or `.parquet` file, or an iterable
            of batches of those. An iterator can be read once, so that a call with one is not
            tried again.

    Raises:
        InvalidRequestError: not one of these, or without a row axis.
    """
    if isinstance(rows, str | Path):
        return _from_path(name, Path(rows))
    if isinstance(rows, np.ndarray):
        return _from_array(name, as_array(name, rows))
    if _is_table(rows):
        return _from_arrow(name, rows)
    if hasattr(rows, "__dlpack__") or hasattr(rows, "__array__") or isinstance(rows, Sequence):
        return _from_array(name, as_array(name, rows))
    if isinstance(rows, Iterable) and not isinstance(rows, Mapping):
        return _from_batches(name, rows)
    raise invalid(name, f"found {type(rows).__name__}; an array, a table or batches are right")


def as_array(name: str, values: object) -> Array:
    """Any array-like as a numpy array, without copying where that is possible."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise invalid(name, "found masked values; an array without any is right")
    try:
        if hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
            return np.from_dlpack(values)
        return np.asarray(values)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        # Theirs says what to do: that it is on another device, for example.
        raise invalid(name, f"found {type(values).__name__} that is no array: {error}") from None


def aligned(sources: Sequence[Source], block_bytes: int) -> Iterator[tuple[int, list[Array]]]:
    """Cuts the same rows out of every source, about `block_bytes` at a time.

    Yields:
        The number of rows, and those rows of each source.

    Raises:
        InvalidRequestError: the sources end at different rows, or a batch has another shape.
    """
    limit = max(1, block_bytes // sum(source.row_bytes for source in sources))
    streams = [_checked(source) for source in sources]
    waiting: list[Array | None] = [None] * len(sources)
    row = 0
    while True:
        waiting = [
            next(stream, None) if rest is None else rest
            for stream, rest in zip(streams, waiting, strict=True)
        ]
        here = [rest for rest in waiting if rest is not None]
        if not here:
            return
        if len(here) < len(sources):
            ended = next(s.name for s, rest in zip(sources, waiting, strict=True) if rest is None)
            raise invalid(ended, f"ends after {row} rows; other tensors of the pool have more")
        count = min(limit, *(len(rest) for rest in here))
        for rest in here:
            if rest.dtype.kind in TEXT:
                count = _rows_that_fit(rest[:count], block_bytes)
        yield count, [rest[:count] for rest in here]
        waiting = [rest[count:] if len(rest) > count else None for rest in here]
        row += count


def _checked(source: Source) -> Iterator[Array]:
    """The source's batches, without empty ones, in its own type."""
    for batch in source.batches():
        if batch.shape[1:] != source.row_shape:
            raise invalid(
                source.name,
                f"found a batch whose rows have shape {list(batch.shape[1:])}; "
                f"the first had {list(source.row_shape)}",
            )
        if source.is_text and batch.dtype.kind in TEXT:
            pass  # each batch of text has a dtype of its own, as wide as its longest
        elif not np.can_cast(batch.dtype, source.dtype):
            raise invalid(
                source.name, f"found a batch of {batch.dtype}; the first had {source.dtype}"
            )
        elif batch.dtype != source.dtype:
            batch = batch.astype(source.dtype)
        if len(batch):
            yield batch


def _rows_that_fit(texts: Array, block_bytes: int) -> int:
    """How many rows of text, at least one, take at most so many bytes."""
    sizes = [
        sum(len(str(text).encode()) for text in row.flat) for row in texts.reshape(len(texts), -1)
    ]
    return max(1, int(np.searchsorted(np.cumsum(sizes), block_bytes, side="right")))


def _is_table(rows: object) -> bool:
    """Whether it has columns; a single one, such as a pandas Series, does as an array."""
    return hasattr(rows, "__arrow_c_stream__") and (
        hasattr(rows, "columns") or not hasattr(rows, "__array__")
    )


def _from_array(name: str, array: Array) -> Source:
    if array.ndim == 0:
        raise invalid(name, "found a single value; rows are right")
    return Source(name, array.dtype, array.shape[1:], len(array), lambda: iter((array,)))


def _from_batches(name: str, batches: Iterable[object]) -> Source:
    iterator = iter(batches)
    repeatable = iterator is not batches
    first = next(iterator, None)
    if first is None:
        raise invalid(name, "found an iterator without any batch; at least one is right")
    start = as_array(name, first)
    if start.ndim == 0:
        raise invalid(name, "found single values; batches of rows are right")

    def read() -> Iterator[Array]:
        if repeatable:
            return (as_array(name, batch) for batch in batches)
        return _chain(start, (as_array(name, batch) for batch in iterator))

    return Source(name, start.dtype, start.shape[1:], UNKNOWN_ROWS, read, repeatable)


def _chain(first: Array, rest: Iterator[Array]) -> Iterator[Array]:
    yield first
    yield from rest


def _from_path(name: str, path: Path) -> Source:
    unreadable = f"{path} cannot be read"
    if path.suffix == ".npy":
        with _readable(name, unreadable):
            return _from_array(name, np.load(path, mmap_mode="r"))
    if path.suffix == ".parquet":
        from nextlabel import _tables

        with _readable(name, unreadable):
            rows = _tables.parquet_rows(path)
        return _from_stream(name, lambda: _tables.read_parquet(path), rows, unreadable)
    raise invalid(name, f"found the path {path}; a .npy or .parquet file is right")


def _from_arrow(name: str, table: Any) -> Source:  # noqa: ANN401 - any Arrow stream
    from nextlabel import _tables

    # Of a frame that Arrow cannot hold, such as one with numbers and text in one column, or of a
    # stream that has been read.
    unreadable = f"found {type(table).__name__} that is no table"
    # What has a length is in memory; anything else may give its rows only once.
    rows = len(table) if hasattr(table, "__len__") else UNKNOWN_ROWS
    return _from_stream(name, lambda: _tables.read_stream(table), rows, unreadable)


def _from_stream(
    name: str, start: Callable[[], Iterator[Array]], row_count: int, unreadable: str
) -> Source:
    """Batches of a file or a table, at least one; can be read again if its rows are known.

    `unreadable` begins what is said when a reading fails.
    """

    def opened() -> Iterator[Array]:
        with _readable(name, unreadable):
            yield from start()

    repeatable = row_count != UNKNOWN_ROWS
    stream = opened()
    first = next(stream)
    begun = [_chain(first, stream)]  # for the first reading

    def read() -> Iterator[Array]:
        return begun.pop() if begun else opened()

    return Source(name, first.dtype, first.shape[1:], row_count, read, repeatable)


@contextmanager
def _readable(name: str, unreadable: str) -> Iterator[None]:
    """Around reading: says under the tensor's name what cannot be read."""
    try:
        yield
    except InvalidRequestError:
        raise
    except (OSError, ValueError, TypeError, EOFError, RuntimeError) as error:
        raise invalid(name, f"{unreadable}: {error}") from None
