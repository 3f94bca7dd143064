"""ONNX models: found in a directory, loaded, and run batch by batch over a pool."""

from nextlabel_server.inference.batcher import Batch, Batcher
from nextlabel_server.inference.layout import RepositoryError
from nextlabel_server.inference.model import Model
from nextlabel_server.inference.outputs import Outputs
from nextlabel_server.inference.passes import MAX_PASSES
from nextlabel_server.inference.repository import ModelRepository
from nextlabel_server.inference.settings import Activation
from nextlabel_server.inference.tensors import TensorInfo

__all__ = [
    "MAX_PASSES",
    "Activation",
    "Batch",
    "Batcher",
    "Model",
    "ModelRepository",
    "Outputs",
    "RepositoryError",
    "TensorInfo",
]
