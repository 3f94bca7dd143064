"""Small ONNX models for tests, written node by node."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nextlabel_server.cancel import CancelToken
from nextlabel_server.inference import Model, ModelRepository

FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def graph(nodes, inputs, outputs, constants=()):
    return helper.make_graph(nodes, "test", inputs, outputs, list(constants))


def model(nodes, inputs, outputs, constants=()):
    """A whole model of operators of opset 17, as bytes."""
    built = helper.make_model(
        graph(nodes, inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    return built.SerializeToString()


def identity(name="probabilities", shape=("rows", 3), kind=FLOAT, source="x"):
    """A model that returns its one input."""
    node = helper.make_node("Identity", [source], [name])
    return model([node], [value(source, shape, kind)], [value(name, shape, kind)])


def save(directory: Path, name: str, content: bytes | onnx.ModelProto, settings: str = "") -> None:
    """Writes NAME.onnx, and NAME.toml when there are settings."""
    data = content if isinstance(content, bytes) else content.SerializeToString()
    (directory / f"{name}.onnx").write_bytes(data)
    if settings:
        (directory / f"{name}.toml").write_text(settings)


def load(directory: Path, content: bytes | onnx.ModelProto, settings: str = "") -> Model:
    """Serves one model from `directory`, under the name 'm'."""
    save(directory, "m", content, settings)
    return ModelRepository.load([directory]).get("m")


def run(model: Model, *, first_row: int = 0, **inputs):
    """Runs one batch of the model; lists become arrays of the type that its input has."""
    dtypes = {tensor.name: tensor.dtype for tensor in model.inputs}
    arrays = {name: np.asarray(values, dtypes[name]) for name, values in inputs.items()}
    return model.run(arrays, first_row=first_row, cancel=CancelToken())


def embedding_lookup():
    """Token ids [rows, any] in 0..2 to the mean of their vectors: logits [rows, 2]."""
    table = constant("table", np.float32([[1, -1], [2, 0], [0, 3]]))
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["vectors"]),
        helper.make_node("ReduceMean", ["vectors"], ["logits"], axes=[1], keepdims=0),
    ]
    ids = value("ids", ["rows", "tokens"], INT64)
    return model(nodes, [ids], [value("logits", ["rows", 2])], [table])


def long_running():
    """A model that squares a matrix a million times (for many seconds) before it answers."""
    body = graph(
        [
            helper.make_node("MatMul", ["before", "before"], ["after"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        [value("i", [], INT64), value("go", [], TensorProto.BOOL), value("before", [64, 64])],
        [value("go_on", [], TensorProto.BOOL), value("after", [64, 64])],
    )
    nodes = [
        # What depends on no input would be computed when the model is loaded.
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Mul", ["zeros", "total"], ["start"]),
        helper.make_node("Loop", ["times", "true", "start"], ["end"], body=body),
        helper.make_node("ReduceSum", ["end"], ["zero"], keepdims=0),
        helper.make_node("Add", ["x", "zero"], ["probabilities"]),
    ]
    constants = [
        constant("times", np.int64(10**6)),
        constant("true", np.bool_(True)),
        constant("zeros", np.zeros((64, 64), np.float32)),
    ]
    return model(nodes, [value("x", ["rows", 2])], [value("probabilities", ["rows", 2])], constants)


def with_weights_in(location: str, count: int) -> bytes:
    """A model that adds to each row x the `count` float32 numbers in the file at `location`."""
    weights = TensorProto(name="weights", data_type=FLOAT, dims=[count])
    weights.data_location = TensorProto.EXTERNAL
    for key, text in (("location", location), ("length", str(4 * count))):
        weights.external_data.add(key=key, value=text)
    node = helper.make_node("Add", ["x", "weights"], ["probabilities"])
    shape = ["rows", count]
    return model([node], [value("x", shape)], [value("probabilities", shape)], [weights])
