"""What a graph tells before it runs: constants, also inside of nodes, and what depends on what."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from onnx import (
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known in one graph, or in the body of a function."""

    folder: Path
    """Where the model lies, with weights in files of their own."""
    functions: Mapping[tuple[str, str, str], FunctionProto]
    """What nodes may call, by domain, name and overload."""
    makers: Mapping[str, NodeProto]
    """The nodes, by each of their outputs."""
    tensors: Mapping[str, TensorProto]
    """The initializers."""

    @classmethod
    def of(cls, model: ModelProto, folder: Path) -> Self:
        """What the graph of the model in `folder` tells."""
        functions = {(each.domain, each.name, each.overload): each for each in model.functions}
        return cls(folder, functions, _makers(model.graph.node), _tensors(model.graph))

    def array(self, name: str) -> np.ndarray | None:
        """A constant; None for anything else."""
        while (maker := self.makers.get(name)) is not None and maker.op_type == "Identity":
            name = maker.input[0]
        if maker is None:
            tensor: object = self.tensors.get(name)
        else:
            tensor = attributes(maker).get("value") if maker.op_type == "Constant" else None
        if not isinstance(tensor, TensorProto):
            return None
        return numpy_helper.to_array(tensor, str(self.folder))

    def number(self, name: str) -> float | None:
        """A constant of one element; None for anything else."""
        values = self.array(name)
        return None if values is None or values.size != 1 else float(values.item())

    def inside(self, node: NodeProto) -> Iterator[tuple[NodeProto, Self]]:
        """The nodes inside of a node, with those of theirs, and what is known where each stands.

        They are those of its own graphs, such as a loop's body, and of the function that it calls.
        """
        for nodes, known in self._bodies(node):
            for inner in nodes:
                yield inner, known
                yield from known.inside(inner)

    def _bodies(self, node: NodeProto) -> Iterator[tuple[Iterable[NodeProto], Self]]:
        for graph in graphs_of(node):
            # It sees the names around it, but those of its inputs are other values.
            fed = dict.fromkeys((value.name for value in graph.input), NodeProto())
            makers = {**self.makers, **fed, **_makers(graph.node)}
            tensors = {**self.tensors, **_tensors(graph)}
            yield graph.node, replace(self, makers=makers, tensors=tensors)
        called = self.functions.get((node.domain, node.op_type, node.overload))
        if called is not None:  # it sees no names around it
            yield called.node, replace(self, makers=_makers(called.node), tensors={})


def _makers(nodes: Iterable[NodeProto]) -> dict[str, NodeProto]:
    return {name: node for node in nodes for name in node.output}


def _tensors(graph: GraphProto) -> dict[str, TensorProto]:
    return {tensor.name: tensor for tensor in graph.initializer}


def reaching(graph: GraphProto, outputs: set[str]) -> list[NodeProto]:
    """The nodes that the outputs depend on, in the order of the graph."""
    found = []
    for node in reversed(graph.node):
        if outputs.intersection(node.output):
            outputs.update(node.input, inputs_inside(node))
            found.append(node)
    return found[::-1]


def inputs_inside(node: NodeProto) -> Iterator[str]:
    """What the nodes of a node's own graphs take, which may come from outside of these."""
    for graph in graphs_of(node):
        for inner in graph.node:
            yield from inner.input
            yield from inputs_inside(inner)


def graphs_of(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs that a node runs by itself: branches, or the body of a loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def attributes(node: NodeProto) -> dict[str, Any]:
    """What a node says by values; not what it takes from the call of the function it is in."""
    said = (each for each in node.attribute if not each.ref_attr_name)
    return {each.name: helper.get_attribute_value(each) for each in said}
