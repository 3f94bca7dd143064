"""What callers send for a model's inputs: checked by declaration, converted by batch."""

from collections.abc import Mapping, Sequence

import numpy as np

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.inference.tensors import TensorInfo, describe, shape_text

# By the kind of a model's element type: the kinds that are taken for it, and how to say so.
_TAKEN: Mapping[str, tuple[str, str]] = {
    "f": ("fiub", "floats or integers"),
    "i": ("iub", "integers"),
    "u": ("iub", "integers"),
    "b": ("iub", "booleans, or the integers 0 and 1"),
    "O": ("OU", "strings"),
}


def check_inputs(
    inputs: Sequence[TensorInfo], declared: Mapping[str, tuple[np.dtype, tuple[int, ...]]]
) -> None:
    """Raises InvalidRequest unless `declared` has exactly the model's inputs, as it takes them.

    `declared` maps names to an element type and a full shape, whose first axis, the rows, may
    be -1.
    """
    by_name = {tensor.name: tensor for tensor in inputs}
    for name, (dtype, shape) in declared.items():
        field = f"inputs.{name}"
        if name not in by_name:
            raise InvalidRequest(field, f"no such input; the model takes {describe(inputs)}")
        _check_type(field, by_name[name], dtype)
        _check_shape(field, by_name[name], shape)
    for tensor in inputs:
        if tensor.name not in declared:
            takes = describe(inputs)
            raise InvalidRequest(f"inputs.{tensor.name}", f"is missing; the model takes {takes}")


def _check_type(field: str, tensor: TensorInfo, dtype: np.dtype) -> None:
    kinds, words = _TAKEN[tensor.element_type.kind]
    if dtype.kind not in kinds:
        found = "strings" if dtype.kind in "OU" else dtype.name
        raise InvalidRequest(
            field, f"found {found}, but the model takes {words} ({describe([tensor])})"
        )


def _check_shape(field: str, tensor: TensorInfo, shape: Sequence[int]) -> None:
    fits = len(shape) == len(tensor.shape) and all(
        size == wanted if wanted is not None else size >= 1
        for size, wanted in zip(shape[1:], tensor.shape[1:], strict=True)
    )
    if not fits:
        right = shape_text(tensor.shape)
        raise InvalidRequest(field, f"found the shape {list(shape)}, but the model takes {right}")


def convert(tensor: TensorInfo, values: np.ndarray, *, first_row: int) -> np.ndarray:
    """Gives `values` the element type that the model takes; no copy when they have it.

    Floats may lose digits. Raises InvalidRequest, with the row's number in the pool, when a value
    does not exist in the model's type: -1 where it takes uint8, 70000.0 where it takes float16.
    """
    wanted = tensor.element_type
    if values.dtype == wanted:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        converted = values.astype(wanted)
    if wanted.kind == "f":
        lost = np.isinf(converted) & np.isfinite(values)
    elif wanted.kind in "iub" and values.dtype.kind != "b":  # booleans fit in all of them
        low, high = _range(wanted)
        lost = (values < low) | (values > high)
    else:
        return converted
    if lost.any():
        row, *position = (int(axis[0]) for axis in np.nonzero(lost))
        value = values[(row, *position)]
        raise InvalidRequest(
            f"inputs.{tensor.name}",
            f"row {first_row + row}: {value} does not fit in {tensor.onnx_type}, "
            "which the model takes",
        )
    return converted


def _range(dtype: np.dtype) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)
