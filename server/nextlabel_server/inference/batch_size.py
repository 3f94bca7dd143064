"""How many rows go into one run of a model.

The last bits of a float32 matrix product can depend on how many rows it has, and the answer to
a request must not: so this depends on the model and on the declared shapes alone, never on how
the rows happen to arrive.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nextlabel_server.inference.tensors import TensorInfo, describe
from nextlabel_server.inference.unusable import Unusable

# A string's size is not in its type; this is a short sentence.
_STRING_BYTES = 64


@dataclass(frozen=True, slots=True)
class BatchLimit:
    """The most that goes into one run; at least one row does."""

    rows: int
    input_bytes: int


# For a model of which nothing is known. Beyond 256 rows even a linear model runs hardly faster.
# A network's own tensors are a hundred times its inputs: at 32 rows of 8 KiB, magika's classifier
# takes 0.2 GB and notices a cancellation within 0.15 s; at 256 rows, 1.1 GB and over a second.
DEFAULT_LIMIT = BatchLimit(rows=256, input_bytes=256 << 10)


def chosen_limit(rows: int) -> BatchLimit:
    """Returns the limit when the operator, who knows the model, asks for `rows`."""
    return BatchLimit(rows, input_bytes=4 << 20)


def fixed_rows(inputs: Sequence[TensorInfo]) -> int | None:
    """Returns the rows that the model was exported for, or None when it takes any number.

    Raises Unusable when the inputs have no row axis, or do not agree on it.
    """
    for tensor in inputs:
        if not tensor.shape:
            raise Unusable(
                f"its input {describe([tensor])} has no known row axis: export it with inputs "
                "whose first axis is the batch"
            )
    sizes = {tensor.shape[0] for tensor in inputs} - {None}
    if len(sizes) > 1 or 0 in sizes:
        raise Unusable(
            f"its inputs have first axes of fixed sizes {sorted(map(str, sizes))}: export it with "
            "one batch size, or a dynamic one, for all inputs"
        )
    return sizes.pop() if sizes else None


def batch_rows(
    inputs: Sequence[TensorInfo], limit: BatchLimit, declared: Mapping[str, Sequence[int]]
) -> int:
    """Returns how many rows to run at once when the model takes any number.

    `declared` maps inputs to full shapes, and stands in where the model leaves an axis open; an
    axis that neither tells counts as 1.
    """
    return max(1, min(limit.rows, limit.input_bytes // row_bytes(inputs, declared)))


def row_bytes(inputs: Sequence[TensorInfo], declared: Mapping[str, Sequence[int]]) -> int:
    """Returns the size of one row of all inputs; `declared` as for `batch_rows`."""
    total = 0
    for tensor in inputs:
        shape = declared.get(tensor.name, tensor.shape)
        row = [wanted or found or 1 for wanted, found in zip(tensor.shape, shape, strict=True)][1:]
        # The model's type, not the sender's: the same values as float16 get the same batches.
        element = tensor.element_type
        item = _STRING_BYTES if element.kind == "O" else element.itemsize
        total += item * math.prod(row)
    return total
