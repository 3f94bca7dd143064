"""Inputs and outputs of a model: name, element type, shape."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nextlabel_server.inference.runtime import Argument

Role = Literal["", "probabilities", "embeddings"]

# The element types that cross between numpy and ONNX Runtime; bfloat16 and 4-bit ones do not.
_DTYPES: Mapping[str, np.dtype] = {
    "tensor(float16)": np.dtype(np.float16),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int16)": np.dtype(np.int16),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(uint16)": np.dtype(np.uint16),
    "tensor(uint32)": np.dtype(np.uint32),
    "tensor(uint64)": np.dtype(np.uint64),
    "tensor(bool)": np.dtype(np.bool_),
    "tensor(string)": np.dtype(object),
}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output of a model."""

    name: str
    """ONNX name."""
    dtype: np.dtype | None
    """Element type, `object` for strings; None when it is not a tensor that numpy can hold."""
    shape: tuple[int | None, ...]
    """Axes, None where any size goes; the first one is the rows. Empty when the model does not
    say, which ONNX Runtime does not tell from a scalar."""
    onnx_type: str
    """Type as ONNX writes it, for example "tensor(float)" or "seq(map(int64,tensor(float)))"."""
    role: Role = ""
    """What an output is used for."""

    @property
    def element_type(self) -> np.dtype:
        """`dtype` of a tensor that has one, as every input of a usable model does."""
        if self.dtype is None:
            raise TypeError(f"{self.onnx_type} has no numpy type")
        return self.dtype

    @property
    def is_float(self) -> bool:
        return self.dtype is not None and self.dtype.kind == "f"

    @property
    def is_zipmap(self) -> bool:
        """A list of {class: probability}, one a row: what scikit-learn exporters write."""
        return self.onnx_type.startswith("seq(map(") and self.onnx_type.endswith(
            ("tensor(float)))", "tensor(double)))")
        )


def tensor_info(argument: Argument) -> TensorInfo:
    """Reads what ONNX Runtime says about an input or output."""
    return TensorInfo(
        name=argument.name,
        dtype=_DTYPES.get(argument.type),
        # Axes with a symbol for a name come as text.
        shape=tuple(size if isinstance(size, int) else None for size in argument.shape),
        onnx_type=argument.type,
    )


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Writes a shape for people: (None, None, 64) becomes "[rows, any, 64]"."""
    axes = ["any" if size is None else str(size) for size in shape[1:]]
    return f"[{', '.join(['rows', *axes])}]" if shape else "of any shape"


def describe(tensors: Iterable[TensorInfo]) -> str:
    """Lists tensors for people: "'x' tensor(float) [rows, 4], 'ids' tensor(int64) [rows, any]"."""
    return ", ".join(
        f"'{tensor.name}' {tensor.onnx_type}"
        + (f" {shape_text(tensor.shape)}" if tensor.onnx_type.startswith("tensor(") else "")
        for tensor in tensors
    )
