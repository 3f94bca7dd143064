"""Graphs that draw at random, made to take their random numbers from outside.

ONNX Runtime cannot repeat a run. A node's `seed`, or `onnxruntime.set_seed`, fixes only where its
numbers begin when the session is made; each run goes on from there, so that what a row gets
depends on every run before it, of any call (measured with 1.31: Dropout in training mode,
RandomUniformLike, RandomNormalLike, Bernoulli, with and without seeds; set_seed before a run
counts for Dropout only, and for the whole process). And its optimizer takes Dropout out of a
graph even in training mode, unless it is the last node. So when a model is loaded, the nodes that
draw are replaced by nodes that compute the same from an input of random numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.inliner import inline_local_functions
from onnx.shape_inference import infer_shapes

from nextlabel_server.inference.known import Known, attributes, reaching
from nextlabel_server.inference.row_axis import RowAxes
from nextlabel_server.inference.unusable import Unusable

_STANDARD = ("", "ai.onnx")
_RANDOM = (
    "Bernoulli",
    "Dropout",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)


@dataclass(frozen=True, slots=True)
class RandomInput:
    """The input of a graph that gives one of its nodes its random numbers, float32.

    They are as many as the numbers in output `shape`, or fewer that broadcast to it; uniform in
    [0, 1), or `normal` with mean 0 and variance 1.
    """

    name: str
    shape: str
    normal: bool
    row_axis: int | None = None
    """In a model for one batch size, the axis of the rows; None when they share all numbers."""


@dataclass(frozen=True, slots=True)
class Controlled:
    """A model whose random numbers are inputs."""

    content: bytes
    inputs: tuple[RandomInput, ...]


def controlled(
    path: Path, outputs: Sequence[str], fixed_rows: int | None = None
) -> Controlled | None:
    """The model at `path` with random numbers as inputs, as far as they reach `outputs`.

    `fixed_rows` are those of a model for one batch size. None when the outputs depend on nothing
    random. Raises Unusable when they depend on something random that cannot be replaced.
    """
    content = path.read_bytes()
    if not any(name.encode() in content for name in _RANDOM):
        return None  # nothing to look for in what can be hundreds of megabytes
    model = onnx.load_from_string(content)
    if model.functions:
        model = inline_local_functions(model)
    known = Known.of(model, path.parent)
    nodes = [node for node in reaching(model.graph, set(outputs)) if _draws(node, known)]
    if not nodes:
        return None
    # By their first outputs, which no other node has.
    inferred = infer_shapes(model)
    types = _types(inferred.graph)
    replacements = {node.output[0]: _Replacement(node, i, types) for i, node in enumerate(nodes)}
    replaced: list[NodeProto] = []
    for node in model.graph.node:
        replacement = replacements.get(next(iter(node.output), ""))
        replaced += replacement.nodes if replacement else [node]
    del model.graph.node[:]
    model.graph.node.extend(replaced)
    inputs = [replacement.input for replacement in replacements.values()]
    if fixed_rows is not None:
        axes = RowAxes(inferred, known, fixed_rows, outputs)
        pairs = zip(inputs, nodes, strict=True)
        inputs = [replace(each, row_axis=axes.of(node)) for each, node in pairs]
    for each in inputs:
        model.graph.input.append(helper.make_tensor_value_info(each.name, TensorProto.FLOAT, None))
        model.graph.output.append(
            helper.make_tensor_value_info(each.shape, TensorProto.INT64, [None])
        )
    return Controlled(model.SerializeToString(), tuple(inputs))


def _types(graph: GraphProto) -> dict[str, int]:
    """The element types in a graph, by name."""
    values = (*graph.input, *graph.value_info, *graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _draws(node: NodeProto, known: Known) -> bool:
    """Whether a node draws at random. Raises Unusable where it cannot be replaced."""
    inside = next((inner for inner, there in known.inside(node) if _is_random(inner, there)), None)
    if inside is not None or (node.op_type == "Multinomial" and _is_random(node, known)):
        found = f"{inside.op_type} inside a {node.op_type}" if inside else node.op_type
        raise Unusable(
            f"it draws at random by a {found}, so that no answer could be repeated: export it "
            "with Dropout, Bernoulli, RandomNormal or RandomUniform, outside of loops, branches "
            "and functions of an opset that is not the model's"
        )
    return _is_random(node, known)


def _is_random(node: NodeProto, known: Known) -> bool:
    if node.domain not in _STANDARD or node.op_type not in _RANDOM:
        return False
    return node.op_type != "Dropout" or _is_active(node, known)


def _is_active(dropout: NodeProto, known: Known) -> bool:
    inputs = [*dropout.input, "", ""]
    if not inputs[2]:  # before opset 12 there is none, and nothing is dropped
        return False
    training = known.number(inputs[2])
    if training is None:
        raise Unusable(
            "the training_mode of its Dropout is computed while it runs: export it as a constant"
        )
    return bool(training) and known.number(inputs[1]) != 0


class _Replacement:
    """The nodes that compute what a random node does, from random numbers.

    Attributes:
        input: where these come from.
        nodes: the nodes, in order.
    """

    def __init__(self, node: NodeProto, number: int, types: Mapping[str, int]) -> None:
        self._node = node
        self._types = types
        self._prefix = f"nextlabel/random/{number}"
        normal = node.op_type.startswith("RandomNormal")
        self.input = RandomInput(f"{self._prefix}/numbers", f"{self._prefix}/shape", normal)
        self.nodes: list[NodeProto] = []
        said = attributes(node)
        if "shape" in said:
            self._constant(np.int64(said["shape"]), self.input.shape)
        else:
            self._add("Shape", node.input[0], to=self.input.shape)
        if node.op_type == "Dropout":
            self._dropout()
        elif node.op_type == "Bernoulli":
            self._bernoulli(said)
        elif normal:
            self._scaled(said, said.get("mean", 0.0), said.get("scale", 1.0))
        else:
            low, high = said.get("low", 0.0), said.get("high", 1.0)
            self._scaled(said, low, high - low)

    def _dropout(self) -> None:
        """x/(1 − ratio) where the number is at least the ratio, else 0."""
        x, ratio, *_ = (*self._node.input, "")
        kind = self._type_of(x)
        share = self._cast(ratio, TensorProto.FLOAT) if ratio else self._constant(np.float32(0.5))
        keeps = self._add("GreaterOrEqual", self.input.name, share)
        kept = self._add("Sub", self._constant(np.float32(1)), share)
        scaled = self._add("Div", x, self._cast(kept, kind))
        zero = self._cast(self._constant(np.float32(0)), kind)
        self._add("Where", keeps, scaled, zero, to=self._node.output[0])
        if len(self._node.output) > 1 and self._node.output[1]:
            self._add("Expand", keeps, self.input.shape, to=self._node.output[1])

    def _bernoulli(self, said: Mapping[str, Any]) -> None:
        """1 where the number is below the probability, else 0."""
        p = self._node.input[0]
        ones = self._add("Less", self.input.name, self._cast(p, TensorProto.FLOAT))
        self._cast(ones, said.get("dtype") or self._type_of(p), to=self._node.output[0])

    def _scaled(self, said: Mapping[str, Any], start: float, scale: float) -> None:
        """The number times `scale`, plus `start`, in the shape that is wanted."""
        kind = said.get("dtype")
        if not kind:
            kind = self._type_of(self._node.input[0]) if self._node.input else TensorProto.FLOAT
        product = self._add("Mul", self.input.name, self._constant(np.float32(scale)))
        numbers = self._add("Add", product, self._constant(np.float32(start)))
        expanded = self._add("Expand", numbers, self.input.shape)
        self._cast(expanded, kind, to=self._node.output[0])

    def _type_of(self, name: str) -> int:
        kind = self._types.get(name)
        if not kind:
            raise Unusable(
                f"the element type of what its {self._node.op_type} works on is not known: export "
                "it with standard operators"
            )
        return kind

    def _cast(self, name: str, kind: int, to: str = "") -> str:
        return self._add("Cast", name, to=to, attributes={"to": kind})

    def _constant(self, value: np.ndarray | np.generic, to: str = "") -> str:
        tensor = numpy_helper.from_array(np.asarray(value))
        return self._add("Constant", to=to, attributes={"value": tensor})

    def _add(
        self, kind: str, *inputs: str, to: str = "", attributes: Mapping[str, Any] | None = None
    ) -> str:
        to = to or f"{self._prefix}/{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, inputs, [to], name=f"{to}/{kind}", **(attributes or {}))
        )
        return to
