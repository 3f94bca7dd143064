"""Arrays to tensors and back: the one table of element types, shared by client and server."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nextlabel.v1 import tensor_pb2

Buffer: TypeAlias = bytes | memoryview
Contents: TypeAlias = Buffer | tensor_pb2.TensorContents
"""Elements of a tensor: little-endian bytes, or a message when they are not bytes."""

STRING = np.dtype(object)
"""The numpy dtype of a STRING tensor: an object array of str."""

_TYPES = {
    tensor_pb2.DATA_TYPE_FP16: np.dtype("<f2"),
    tensor_pb2.DATA_TYPE_FP32: np.dtype("<f4"),
    tensor_pb2.DATA_TYPE_FP64: np.dtype("<f8"),
    tensor_pb2.DATA_TYPE_INT8: np.dtype("i1"),
    tensor_pb2.DATA_TYPE_INT16: np.dtype("<i2"),
    tensor_pb2.DATA_TYPE_INT32: np.dtype("<i4"),
    tensor_pb2.DATA_TYPE_INT64: np.dtype("<i8"),
    tensor_pb2.DATA_TYPE_UINT8: np.dtype("u1"),
    tensor_pb2.DATA_TYPE_UINT16: np.dtype("<u2"),
    tensor_pb2.DATA_TYPE_UINT32: np.dtype("<u4"),
    tensor_pb2.DATA_TYPE_UINT64: np.dtype("<u8"),
    tensor_pb2.DATA_TYPE_BOOL: np.dtype("?"),
    tensor_pb2.DATA_TYPE_STRING: STRING,
}
_DATA_TYPES = {dtype: data_type for data_type, dtype in _TYPES.items()}


def dtype_of(data_type: int) -> np.dtype | None:
    """The numpy dtype of a DataType; None for one that is unset or unknown."""
    return _TYPES.get(data_type)  # type: ignore[call-overload, no-any-return]  # any int may come


def data_type_of(dtype: np.dtype) -> tensor_pb2.DataType:
    """The DataType of a numpy dtype, in either byte order; any text is STRING.

    Raises:
        TypeError: there is none, as for complex numbers and dates.
    """
    if dtype.kind in "UT":
        return tensor_pb2.DATA_TYPE_STRING
    try:
        return _DATA_TYPES[dtype.newbyteorder("<")]
    except KeyError:
        raise TypeError(f"{dtype} has no tensor type; numbers, bool and str have") from None


def pack(array: npt.NDArray[Any]) -> Contents:
    """The elements of an array, row-major and little-endian, copied only if they are not so.

    Raises:
        TypeError: an object array that holds something other than str.
    """
    if data_type_of(array.dtype) == tensor_pb2.DATA_TYPE_STRING:
        try:
            return tensor_pb2.TensorContents(strings=array.ravel().tolist())
        except TypeError:
            raise TypeError("an object array must hold str only") from None
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def message_of(contents: Contents) -> tensor_pb2.TensorContents:
    """Contents as the message that a Tensor holds."""
    if isinstance(contents, tensor_pb2.TensorContents):
        return contents
    return tensor_pb2.TensorContents(data=bytes(contents))


def unpack(contents: Contents, dtype: np.dtype, shape: Sequence[int]) -> npt.NDArray[Any]:
    """The array of that dtype and shape (all sizes known) that `contents` holds.

    A view of the contents' bytes where they are bytes; read-only.

    Raises:
        ValueError: with what was found and what would be right.
    """
    count = math.prod(shape)
    if not isinstance(contents, tensor_pb2.TensorContents):
        if len(contents) or dtype != STRING:
            return _from_bytes(contents, dtype, shape, count)
        contents = tensor_pb2.TensorContents()
    if dtype == STRING:
        if contents.data or contents.values:
            raise ValueError("a STRING tensor has its elements in strings")
        if len(contents.strings) != count:
            raise ValueError(f"found {len(contents.strings)} strings; {count} are right")
        return np.array(contents.strings, dtype=STRING).reshape(shape)
    if contents.strings:
        raise ValueError(f"found strings; a tensor of {dtype} has its elements in data")
    if not contents.values:
        return _from_bytes(contents.data, dtype, shape, count)
    if contents.data:
        raise ValueError("both data and values are set; exactly one is right")
    if dtype != np.float32:
        raise ValueError(f"values are for FP32; a tensor of {dtype} has its elements in data")
    if len(contents.values) != count:
        raise ValueError(f"found {len(contents.values)} values; {count} are right")
    return np.array(contents.values, dtype=np.float32).reshape(shape)


def _from_bytes(
    data: Buffer, dtype: np.dtype, shape: Sequence[int], count: int
) -> npt.NDArray[Any]:
    if dtype == STRING:
        raise ValueError("a STRING tensor has its elements in strings")
    if len(data) != count * dtype.itemsize:
        raise ValueError(
            f"found {len(data)} bytes; shape {list(shape)} of {dtype} takes "
            f"{count * dtype.itemsize}"
        )
    return np.frombuffer(data, dtype).reshape(shape)
