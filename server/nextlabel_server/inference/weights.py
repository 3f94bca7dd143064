"""Weights in files of their own: which of them keep a model from being loaded."""

import os
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import GraphProto, TensorProto

# Enough to recognise a file by.
_SHOWN_NAME = 128


def weights_problem(path: Path) -> str | None:
    """Says what is wrong with the weights files of the model at `path`, and what to do about it.

    For a model that ONNX Runtime refuses. None when the fault is not found in them.
    """
    try:
        model = onnx.load(path, load_external_data=False)
        problems = (_problem(path, tensor) for tensor in _external(model.graph))
        return next(filter(None, problems), None)
    except Exception:
        return None  # no model, or no number where one belongs: others say so


def _problem(path: Path, tensor: TensorProto) -> str | None:
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location", "")
    # Before anything is said of the file: what lies elsewhere is nobody's business.
    if not _stays_below(path, location):
        return (
            "it keeps weights in a file outside of its folder, which is not read: export it with "
            "the file beside it, or below"
        )
    shown = f"its weights file {location[:_SHOWN_NAME]!r}"
    file = path.parent / location
    if not file.is_file():
        return f"{shown} is missing: copy it first, and the model after it"
    needed = int(said.get("offset", 0)) + int(said.get("length", 0))
    found = file.stat().st_size
    if found < needed:
        return (
            f"{shown} has {found} bytes, and the model needs {needed}: it may be truncated; copy "
            "it again, and the model after it"
        )
    return None


def _stays_below(path: Path, location: str) -> bool:
    """Whether the file is where ONNX Runtime reads it: below the model, or what that links to."""
    # Unlike Path.resolve, it takes links that go round in circles.
    real, folder, model = (
        Path(os.path.realpath(each)) for each in (path.parent / location, path.parent, path)
    )
    inside = real.is_relative_to(folder) or real.is_relative_to(model.parent)
    return inside and not Path(location).is_absolute()


def _external(graph: GraphProto) -> Iterator[TensorProto]:
    """The tensors of a graph, and of those inside it, that lie in files of their own."""
    tensors = [*graph.initializer]
    for node in graph.node:
        for attribute in node.attribute:
            tensors += [attribute.t, *attribute.tensors]
            for inner in (attribute.g, *attribute.graphs):
                yield from _external(inner)
    yield from (each for each in tensors if each.data_location == TensorProto.EXTERNAL)
