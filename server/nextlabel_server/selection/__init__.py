"""Which rows to pick: pure functions on arrays, without gRPC, ONNX, I/O or clocks."""

# First of all: its first import names the package `strategies` here, and the function is to win.
import nextlabel_server.selection.strategies  # noqa: F401
from nextlabel_server.selection.query import Budget, Picks, Query, pick
from nextlabel_server.selection.registry import Strategy, strategies, strategy_named
from nextlabel_server.selection.sampling import SamplingMethod, sampling_named, samplings
from nextlabel_server.selection.scoring import Scorer
from nextlabel_server.selection.tensors import (
    COMMON_TENSORS,
    TensorInput,
    accept_reference,
    bind_shapes,
)

__all__ = [
    "COMMON_TENSORS",
    "Budget",
    "Picks",
    "Query",
    "SamplingMethod",
    "Scorer",
    "Strategy",
    "TensorInput",
    "accept_reference",
    "bind_shapes",
    "pick",
    "sampling_named",
    "samplings",
    "strategies",
    "strategy_named",
]
