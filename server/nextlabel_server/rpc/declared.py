"""Tensors as a header declares them, before any of their rows."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nextlabel import wire
from nextlabel.v1 import tensor_pb2
from nextlabel_server.errors import InvalidRequest, OverLimit
from nextlabel_server.selection.tensors import UNKNOWN_ROWS

MAX_NAME = 256
MAX_TENSORS = 256
MAX_AXES = 32
MAX_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Declared:
    """One tensor as the header declares it; the rows of a pool tensor may be -1."""

    name: str
    field: str
    dtype: np.dtype
    shape: tuple[int, ...]

    def unpack(
        self, contents: wire.Contents, rows: int, where: str = ""
    ) -> npt.NDArray[np.generic]:
        """The array of `rows` rows in `contents`.

        Raises:
            InvalidRequest: at this tensor; `where` says which rows of it.
        """
        try:
            return wire.unpack(contents, self.dtype, (rows, *self.shape[1:]))
        except ValueError as error:
            raise InvalidRequest(self.field, f"{where}{error}") from None


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may be at most."""

    max_rows: int
    max_message_bytes: int


def declared(
    specs: Iterable[tensor_pb2.TensorSpec],
    prefix: str,
    limits: RequestLimits,
    *,
    fewest_rows: int = UNKNOWN_ROWS,
) -> Iterator[Declared]:
    seen = set()
    for i, spec in enumerate(specs):
        if i == MAX_TENSORS:
            raise InvalidRequest("tensors", f"more than {MAX_TENSORS} of one kind")
        if not 1 <= len(spec.name) <= MAX_NAME:
            raise InvalidRequest(f"{prefix}[{i}].name", f"1 to {MAX_NAME} characters are right")
        field = prefix + spec.name
        if spec.name in seen:
            raise InvalidRequest(field, "declared more than once")
        seen.add(spec.name)
        dtype = wire.dtype_of(spec.data_type)
        if dtype is None:
            raise InvalidRequest(
                field, f"found data type {spec.data_type}; one of DataType is right"
            )
        if not spec.shape:
            raise InvalidRequest(field, "found no shape; the row axis comes first")
        if len(spec.shape) > MAX_AXES:
            raise InvalidRequest(
                field, f"found {len(spec.shape)} axes; at most {MAX_AXES} are right"
            )
        shape = tuple(spec.shape)
        if any(size < 0 for size in shape[1:]) or shape[0] < fewest_rows:
            raise InvalidRequest(field, f"found shape {list(shape)}; sizes are at least 0")
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        # An array without elements has sizes, too, and they must not overflow together.
        sizes = [max(size, 1) for size in shape]
        if math.prod(sizes) * dtype.itemsize > MAX_INT64:
            raise InvalidRequest(field, f"found shape {list(shape)}; its product overflows")
        if row_bytes > limits.max_message_bytes:
            raise OverLimit(
                f"{field}: one row takes {row_bytes} bytes; "
                f"this server takes messages of {limits.max_message_bytes}"
            )
        yield Declared(spec.name, field, dtype, shape)
