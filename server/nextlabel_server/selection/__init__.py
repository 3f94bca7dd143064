"""Which rows to pick: pure functions on arrays, without gRPC, ONNX, I/O or clocks."""

from nextlabel_server.selection.constraints import ConstraintReader, Constraints, Limits
from nextlabel_server.selection.gathering import Gatherer
from nextlabel_server.selection.items import Items
from nextlabel_server.selection.nearest import NearestPicks, nearest_picks
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.prefilter import Prefilter
from nextlabel_server.selection.query import Budget, Picks, Query, pick_by_score
from nextlabel_server.selection.registry import Sizes, Strategy, all_strategies, strategy_named
from nextlabel_server.selection.sampling import SamplingMethod, all_samplings, sampling_named
from nextlabel_server.selection.scoring import Scorer
from nextlabel_server.selection.screening import Screener
from nextlabel_server.selection.shortlist import Shortlist
from nextlabel_server.selection.tensors import (
    COMMON_TENSORS,
    ITEM_OFFSETS,
    TensorInput,
    bind_shapes,
)

__all__ = [
    "COMMON_TENSORS",
    "ITEM_OFFSETS",
    "Budget",
    "ConstraintReader",
    "Constraints",
    "Gatherer",
    "Items",
    "Limits",
    "NearestPicks",
    "Picking",
    "Picks",
    "Pool",
    "Prefilter",
    "Query",
    "SamplingMethod",
    "Scorer",
    "Screener",
    "Shortlist",
    "Sizes",
    "Strategy",
    "TensorInput",
    "all_samplings",
    "all_strategies",
    "bind_shapes",
    "nearest_picks",
    "pick_by_score",
    "sampling_named",
    "strategy_named",
]
