"""A model that the server runs, against the same model run where the images are."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from benchmarks import processes
from benchmarks.timing import in_turn, seconds
from nextlabel import Client

TITLE = "Models"
ABOUT = """\
20,000 images of 28 x 28 float32 (63 MB) through a small convolutional network, then entropy, the
100 best. *onnxruntime* is called directly, in the caller's process, where no image is sent anywhere
and nothing is scored, with the batch and the threads that are fastest here."""
COLUMNS = ("work", "nextlabel", "onnxruntime", "ratio", "to reach")
TARGET = 0.9
ROUNDS = 7
IMAGES = 20_000
BATCHES = (16, 32, 64, 128, 256)
THREADS = (1, 2)


def rows() -> Iterator[tuple[str, ...]]:
    images = np.random.default_rng(0).random((IMAGES, 1, 28, 28), dtype=np.float32)
    with tempfile.TemporaryDirectory() as models:
        file = Path(models) / "digits" / "1" / "model.onnx"
        file.parent.mkdir(parents=True)
        onnx.save(network(), file)
        direct, batch, threads = _fastest(file, images)
        with (
            processes.nextlabel("--models", models) as address,
            Client(address, timeout=120) as client,
        ):
            ours = partial(
                client.select,
                inputs={"image": images},
                model="digits",
                strategy="entropy",
                budget=100,
            )
            ours()
            own, peer = in_turn([partial(seconds, ours), partial(seconds, direct)], ROUNDS)
    yield (
        f"20,000 images; onnxruntime with batches of {batch} on {threads} threads",
        f"{IMAGES / own:.0f} images/s",
        f"{IMAGES / peer:.0f} images/s",
        f"{peer / own:.2f}",
        f"at least {TARGET}",
    )


def network() -> onnx.ModelProto:
    """Two convolutions with pooling, and a linear layer: images [N, 1, 28, 28] to 10 classes."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (8, 1, 3, 3), "w2": (16, 8, 3, 3), "w3": (16 * 49, 10), "b3": (10,)}
    weights = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    same, pool = {"pads": [1, 1, 1, 1]}, {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c1"], **same),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], **pool),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], **same),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("MaxPool", ["r2"], ["p2"], **pool),
        helper.make_node("Flatten", ["p2"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _fastest(file: Path, images: np.ndarray) -> tuple[partial[None], int, int]:
    """The fastest way to run the images, with its batch and its threads."""
    ways = []
    for threads in THREADS:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        for batch in BATCHES:
            way = partial(_run, session, images, batch)
            ways.append((min(seconds(way) for _ in range(2)), batch, threads, way))
    _, batch, threads, way = min(ways, key=lambda found: found[0])
    return way, batch, threads


def _run(session: ort.InferenceSession, images: np.ndarray, batch: int) -> None:
    for start in range(0, len(images), batch):
        session.run(None, {"image": images[start : start + batch]})
