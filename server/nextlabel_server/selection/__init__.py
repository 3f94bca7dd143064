"""Which rows to pick: pure functions on arrays, without gRPC, ONNX, I/O or clocks."""

from nextlabel_server.selection.gathering import Gatherer
from nextlabel_server.selection.picking import Constraints, Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.query import Budget, Picks, Query, pick
from nextlabel_server.selection.registry import Sizes, Strategy, all_strategies, strategy_named
from nextlabel_server.selection.sampling import SamplingMethod, all_samplings, sampling_named
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
    "Constraints",
    "Gatherer",
    "Picking",
    "Picks",
    "Pool",
    "Query",
    "SamplingMethod",
    "Scorer",
    "Sizes",
    "Strategy",
    "TensorInput",
    "accept_reference",
    "all_samplings",
    "all_strategies",
    "bind_shapes",
    "pick",
    "sampling_named",
    "strategy_named",
]
