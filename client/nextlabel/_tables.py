"""Tables as matrices, through Arrow: one row a row, numeric columns or one column of lists."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel.errors import invalid

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise ImportError("tables need pyarrow: pip install 'nextlabel[cli]'") from error

BATCH_ROWS = 16_384


def read_stream(table: Any) -> Iterator[npt.NDArray[Any]]:  # noqa: ANN401 - any Arrow stream
    """The rows of anything with `__arrow_c_stream__`, a batch at a time, at least one."""
    reader = pa.RecordBatchReader.from_stream(table)
    yield from _matrices(reader, reader.schema)


def read_parquet(path: Path) -> Iterator[npt.NDArray[Any]]:
    """The rows of a parquet file, a batch at a time, at least one."""
    with pq.ParquetFile(path) as file:
        yield from _matrices(file.iter_batches(BATCH_ROWS), file.schema_arrow)


def parquet_rows(path: Path) -> int:
    """How many rows a parquet file has."""
    with pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def matrix(batch: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - pyarrow is not typed
    """A record batch [n] as an array: [n, columns], or [n, k] of one column of lists.

    Raises:
        InvalidRequestError: a column that is not numeric, or lists of different lengths or none.
    """
    # pandas adds the index of a DataFrame as columns, and says so.
    index = (batch.schema.pandas_metadata or {}).get("index_columns", [])
    batch = batch.select([i for i, name in enumerate(batch.schema.names) if name not in index])
    if not batch.num_columns:
        return np.empty((batch.num_rows, 0))
    if batch.num_columns == 1 and _is_list(batch.schema.field(0).type):
        values = batch.column(0)
        if values.null_count:  # `flatten` leaves them out
            raise invalid(batch.schema.names[0], "has an empty cell")
        flat = values.flatten().to_numpy(zero_copy_only=False)
        if not len(values):
            return np.empty((0, getattr(values.type, "list_size", 1)), flat.dtype)
        if len(flat) % len(values):
            raise invalid(batch.schema.names[0], "has lists of different lengths")
        if not pa.types.is_fixed_size_list(values.type):
            lengths = np.diff(values.offsets.to_numpy(zero_copy_only=False))
            if (lengths != lengths[0]).any():
                raise invalid(batch.schema.names[0], "has lists of different lengths")
        rows: npt.NDArray[Any] = flat.reshape(len(values), -1)
        return rows
    for field in batch.schema:
        if not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
            raise invalid(field.name, f"is a column of {field.type}; numbers are right")
    return np.column_stack([c.to_numpy(zero_copy_only=False) for c in batch.columns])


def _matrices(batches: Iterable[Any], schema: Any) -> Iterator[npt.NDArray[Any]]:  # noqa: ANN401
    """Each batch as an array; for none with rows, one without, which shows the columns."""
    some = False
    for batch in batches:
        if batch.num_rows:
            some = True
            yield matrix(batch)
    if not some:
        yield matrix(pa.RecordBatch.from_pylist([], schema=schema))


def _is_list(kind: Any) -> bool:  # noqa: ANN401 - pyarrow is not typed
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
