"""Pools in CSV and parquet files, a batch at a time.

Columns are read anew for every tensor and every attempt, so that a file of any size streams.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from nextlabel._tables import BATCH_ROWS, matrix
from nextlabel.errors import invalid
from nextlabel.v1 import catalog_pb2, tensor_pb2

DEFAULT_ID_COLUMN = "id"

# How the cells of a CSV file are read for a model's input; whole numbers of any other kind
# travel as int64, and the server says which do not fit.
_CSV_TYPES = {
    tensor_pb2.DATA_TYPE_FP16: pa.float32(),
    tensor_pb2.DATA_TYPE_FP32: pa.float32(),
    tensor_pb2.DATA_TYPE_FP64: pa.float64(),
    tensor_pb2.DATA_TYPE_UINT64: pa.uint64(),
    tensor_pb2.DATA_TYPE_BOOL: pa.bool_(),
    tensor_pb2.DATA_TYPE_STRING: pa.string(),
}


def read(
    path: Path, inputs: Sequence[catalog_pb2.ModelTensor] | None, id_column: str | None
) -> dict[str, Any]:
    """The arguments of `Client.select` that a table stands for; see `pool.read`."""
    table = _Table(path)
    columns = [name for name in table.names if name != (id_column or DEFAULT_ID_COLUMN)]
    pool: dict[str, Any] = {}
    if len(columns) < len(table.names):
        pool["ids"] = table.ids(id_column or DEFAULT_ID_COLUMN)
    elif id_column is not None:
        raise invalid("--id-column", f"{path} has no column {id_column!r}; {table.listing}")
    if not columns:
        raise invalid(str(path), "has no columns beside the ids")
    if inputs is None:
        pool["probabilities"] = table.matrix(columns, pa.float64())
    elif len(inputs) == 1 and inputs[0].name not in columns:
        pool["inputs"] = {
            inputs[0].name: table.matrix(columns, _csv_type(inputs[0]), inputs[0].shape)
        }
    else:
        pool["inputs"] = {each.name: table.input(each) for each in inputs}
    return pool


@dataclass(frozen=True)
class _Batches:
    """Arrays of some columns; every iteration reads the file from its start."""

    start: Callable[[], Iterator[Any]]
    array_of: Callable[[Any], npt.NDArray[Any]]

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return (self.array_of(batch) for batch in self.start())


class _Table:
    """A CSV or parquet file with named columns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._readable():
            self._schema = _csv(path).schema if self._is_csv else pq.read_schema(path)
        self.names: list[str] = self._schema.names
        # Whole numbers may be names: pandas gives the columns of a matrix such ones.
        if (
            self._is_csv
            and all(map(_is_number, self.names))
            and not "".join(self.names).isdecimal()
        ):
            raise invalid(str(path), "has numbers in its first line; the columns' names go there")
        repeated = {name for name in self.names if self.names.count(name) > 1}
        if repeated:
            raise invalid(str(path), f"has several columns named {repeated.pop()!r}")

    @property
    def listing(self) -> str:
        return f"there is {', '.join(self.names)}"

    def matrix(
        self,
        names: Sequence[str],
        csv_type: Any,  # noqa: ANN401 - pyarrow is not typed
        shape: Sequence[int] = (-1, -1),
    ) -> _Batches:
        """All of these columns side by side, or the lists of a single one."""
        for name in names:
            kind = self._schema.field(name).type
            if _is_text(kind):
                raise invalid(
                    name,
                    f"is a column of text ({kind}); numbers are right. Ids may be text: "
                    f"--id-column {name}",
                )
        types = dict.fromkeys(names, csv_type)
        return _Batches(lambda: self._batches(types), lambda batch: _shaped(matrix(batch), shape))

    def input(self, tensor: catalog_pb2.ModelTensor) -> _Batches:
        """The column that has the name of a model's input, in the input's shape."""
        if tensor.name not in self.names:
            raise invalid(
                f"inputs.{tensor.name}", f"{self._path} has no such column; {self.listing}"
            )
        types = {tensor.name: _csv_type(tensor)}
        return _Batches(
            lambda: self._batches(types),
            lambda batch: _shaped(_values(tensor.name, batch), tensor.shape),
        )

    def ids(self, name: str) -> npt.NDArray[Any]:
        """A column of whole numbers or text; in a CSV file always text, exactly as written."""
        kind = self._schema.field(name).type
        if not (self._is_csv or _is_text(kind) or pa.types.is_integer(kind)):
            raise invalid(name, f"is a column of {kind}; ids are whole numbers or text")
        batches = [_values(name, batch) for batch in self._batches({name: pa.string()})]
        return np.concatenate(batches)

    @property
    def _is_csv(self) -> bool:
        return self._path.suffix == ".csv"

    def _batches(self, types: Mapping[str, Any]) -> Iterator[Any]:
        """Record batches of these columns, at least one; a CSV file's cells as these types."""
        with self._readable():
            if self._is_csv:
                reader = _csv(self._path, types)
                yield from _at_least_one(reader, reader.schema)
            else:
                with pq.ParquetFile(self._path) as file:
                    schema = pa.schema([self._schema.field(name) for name in types])
                    yield from _at_least_one(
                        file.iter_batches(BATCH_ROWS, columns=[*types]), schema
                    )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            text = re.sub(r"CSV column #(\d+)", self._column_name, str(error))
            raise invalid(str(self._path), f"cannot be read: {text}") from None

    def _column_name(self, found: re.Match[str]) -> str:
        return f"column {self.names[int(found[1])]!r}"


def _csv(path: Path, types: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
    """A reader of these columns as these types, or of all as what their first rows look like."""
    convert = pa.csv.ConvertOptions(column_types=types, include_columns=[*(types or ())])
    return pa.csv.open_csv(path, convert_options=convert)


def _csv_type(tensor: catalog_pb2.ModelTensor) -> Any:  # noqa: ANN401 - pyarrow is not typed
    return _CSV_TYPES.get(tensor.data_type, pa.int64())


def _at_least_one(batches: Any, schema: Any) -> Iterator[Any]:  # noqa: ANN401
    """The batches, or an empty one, which still tells the columns of a table without rows."""
    empty = True
    for batch in batches:
        empty = False
        yield batch
    if empty:
        yield pa.RecordBatch.from_pylist([], schema)


def _values(name: str, batch: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - pyarrow is not typed
    """One column: a value a row, or a list a row."""
    column = batch.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type):
        return matrix(batch)
    if column.null_count and not pa.types.is_floating(column.type):
        raise invalid(name, "has an empty cell")
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def _shaped(rows: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Rows in the model's shape, where it is known and as large: a table's have one axis at most.

    Others stay as they are, for the server to say what is wrong with them.
    """
    inner = tuple(shape[1:])
    known = all(size > 0 for size in inner)
    size = int(np.prod(rows.shape[1:], dtype=np.int64))
    if not known or size != int(np.prod(inner, dtype=np.int64)):
        return rows
    return rows.reshape(len(rows), *inner)


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - pyarrow is not typed
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
