"""Which axis of a random tensor the rows lie along, in a model for one batch size.

No size tells it: noise on four rows of weights is as large as noise on a batch of four rows. So
the shapes in the graph are inferred with a symbol for the number of rows, and where the symbol
comes out are the rows.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper
from onnx.shape_inference import infer_shapes

from nextlabel_server.inference.known import Known, attributes, inputs_inside, reaching
from nextlabel_server.inference.unusable import Unusable

_ROWS = "nextlabel/rows"

Shape = Sequence[int | str | None]
"""Sizes of axes: numbers, symbols, or None where nothing is known."""


class RowAxes:
    """The row axes of the tensors in a model.

    Args:
        model: it, with the shapes in its graph inferred. It is changed.
        known: its constants.
        rows: how many rows it was exported for.
        outputs: those that are used.
    """

    def __init__(self, model: ModelProto, known: Known, rows: int, outputs: Iterable[str]) -> None:
        self._rows = rows
        self._graph = model.graph
        stored = {tensor.name for tensor in model.graph.initializer}
        self._inputs = {each.name for each in model.graph.input} - stored
        _open_reshapes(model.graph, known, rows)
        self._open_ends()
        self._shapes = _shapes(infer_shapes(model, data_prop=True).graph)
        # If so, nothing on the way to them is written for a number of rows.
        self._any_rows = all((self._shapes.get(name) or [None])[0] == _ROWS for name in outputs)

    def of(self, node: NodeProto) -> int | None:
        """The axis of the rows in what a random node draws; None when they share all of it.

        Raises Unusable when that cannot be told.
        """
        name = node.input[0] if node.input else node.output[0]
        shape = self._shapes.get(name, [None])
        axes = [axis for axis, size in enumerate(shape) if size == _ROWS]
        if len(axes) == 1:
            return axes[0]
        if self._rows == 1 or (not axes and self._is_shared(name, shape)):
            return None
        raise Unusable(
            f"it is for exactly {self._rows} rows, and which numbers of its {node.op_type} are for "
            "which of them cannot be told: export it with a dynamic batch axis"
        )

    def _open_ends(self) -> None:
        """Puts the symbol into the inputs, and forgets all sizes that are told beyond them."""
        for value in self._graph.input:
            if value.name in self._inputs:
                value.type.tensor_type.shape.dim[0].dim_param = _ROWS
        for value in self._graph.output:
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.ClearField("shape")
        del self._graph.value_info[:]

    def _is_shared(self, name: str, shape: Shape) -> bool:
        """Whether a tensor without the symbol has nothing apart for each row, for certain."""
        sizes = [size for size in shape if isinstance(size, int)]
        if len(sizes) < len(shape):
            return False
        if all(size % self._rows for size in sizes):
            return True  # no axis has room for the rows
        return self._any_rows and not self._depends_on_inputs(name)

    def _depends_on_inputs(self, name: str) -> bool:
        nodes = reaching(self._graph, {name})
        taken = {name}.union(*(node.input for node in nodes), *map(inputs_inside, nodes))
        return not taken.isdisjoint(self._inputs)


def _open_reshapes(graph: GraphProto, known: Known, rows: int) -> None:
    """Lets each Reshape to `rows` along the first axis, from as many, keep that axis as it is."""
    shapes = _shapes(graph)
    for number, node in enumerate(graph.node):
        if node.op_type != "Reshape" or len(node.input) != 2 or attributes(node).get("allowzero"):
            continue
        given = shapes.get(node.input[0])
        target = known.array(node.input[1])
        if given and target is not None and target.size and given[0] == target[0] == rows:
            target = np.array([0, *target[1:]], np.int64)  # 0 stands for the size that there is
            kept = numpy_helper.from_array(target, f"{_ROWS}/{number}")
            graph.initializer.append(kept)
            node.input[1] = kept.name


def _shapes(graph: GraphProto) -> dict[str, Shape]:
    """The shapes in a graph, by name, as far as they are known."""
    shapes: dict[str, Shape] = {tensor.name: tensor.dims for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = [
                dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
                for dim in value.type.tensor_type.shape.dim
            ]
    return shapes
