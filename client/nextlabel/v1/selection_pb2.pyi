import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Budget(_message.Message):
    __slots__ = ("count", "fraction", "cost")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    count: int
    fraction: float
    cost: float
    def __init__(self, count: _Optional[int] = ..., fraction: _Optional[float] = ..., cost: _Optional[float] = ...) -> None: ...

class Sampling(_message.Message):
    __slots__ = ("method", "parameters")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    method: str
    parameters: _struct_pb2.Struct
    def __init__(self, method: _Optional[str] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Constraints(_message.Message):
    __slots__ = ("max_per_group", "group_quotas", "min_distance")
    class GroupQuotasEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    MAX_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    GROUP_QUOTAS_FIELD_NUMBER: _ClassVar[int]
    MIN_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    max_per_group: int
    group_quotas: _containers.ScalarMap[int, int]
    min_distance: float
    def __init__(self, max_per_group: _Optional[int] = ..., group_quotas: _Optional[_Mapping[int, int]] = ..., min_distance: _Optional[float] = ...) -> None: ...

class Prefilter(_message.Message):
    __slots__ = ("strategy", "factor")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    factor: float
    def __init__(self, strategy: _Optional[str] = ..., factor: _Optional[float] = ...) -> None: ...

class ModelReference(_message.Message):
    __slots__ = ("name", "version", "passes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PASSES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    passes: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., passes: _Optional[int] = ...) -> None: ...

class SelectionSpec(_message.Message):
    __slots__ = ("strategy", "parameters", "budget", "sampling", "seed", "models", "return_all_scores", "request_id", "constraints", "prefilter", "return_nearest_picks")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    RETURN_ALL_SCORES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    PREFILTER_FIELD_NUMBER: _ClassVar[int]
    RETURN_NEAREST_PICKS_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    parameters: _struct_pb2.Struct
    budget: Budget
    sampling: Sampling
    seed: int
    models: _containers.RepeatedCompositeFieldContainer[ModelReference]
    return_all_scores: bool
    request_id: str
    constraints: Constraints
    prefilter: Prefilter
    return_nearest_picks: bool
    def __init__(self, strategy: _Optional[str] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., budget: _Optional[_Union[Budget, _Mapping]] = ..., sampling: _Optional[_Union[Sampling, _Mapping]] = ..., seed: _Optional[int] = ..., models: _Optional[_Iterable[_Union[ModelReference, _Mapping]]] = ..., return_all_scores: bool = ..., request_id: _Optional[str] = ..., constraints: _Optional[_Union[Constraints, _Mapping]] = ..., prefilter: _Optional[_Union[Prefilter, _Mapping]] = ..., return_nearest_picks: bool = ...) -> None: ...

class Ranking(_message.Message):
    __slots__ = ("indices", "scores", "shares")
    INDICES_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    indices: _containers.RepeatedScalarFieldContainer[int]
    scores: _containers.RepeatedScalarFieldContainer[float]
    shares: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, indices: _Optional[_Iterable[int]] = ..., scores: _Optional[_Iterable[float]] = ..., shares: _Optional[_Iterable[float]] = ...) -> None: ...

class NearestPicks(_message.Message):
    __slots__ = ("first_row", "indices")
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    first_row: int
    indices: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, first_row: _Optional[int] = ..., indices: _Optional[_Iterable[int]] = ...) -> None: ...

class RowScores(_message.Message):
    __slots__ = ("first_row", "scores")
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    first_row: int
    scores: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, first_row: _Optional[int] = ..., scores: _Optional[_Iterable[float]] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("receive", "queue", "inference", "selection", "total")
    RECEIVE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_FIELD_NUMBER: _ClassVar[int]
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    receive: _duration_pb2.Duration
    queue: _duration_pb2.Duration
    inference: _duration_pb2.Duration
    selection: _duration_pb2.Duration
    total: _duration_pb2.Duration
    def __init__(self, receive: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queue: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., inference: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., selection: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., total: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SelectionSummary(_message.Message):
    __slots__ = ("strategy", "seed", "models", "row_count", "eligible_count", "picked_count", "exhausted", "timings", "request_id", "spent_cost")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    PICKED_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXHAUSTED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPENT_COST_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    seed: int
    models: _containers.RepeatedCompositeFieldContainer[ModelReference]
    row_count: int
    eligible_count: int
    picked_count: int
    exhausted: bool
    timings: Timings
    request_id: str
    spent_cost: float
    def __init__(self, strategy: _Optional[str] = ..., seed: _Optional[int] = ..., models: _Optional[_Iterable[_Union[ModelReference, _Mapping]]] = ..., row_count: _Optional[int] = ..., eligible_count: _Optional[int] = ..., picked_count: _Optional[int] = ..., exhausted: bool = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., spent_cost: _Optional[float] = ...) -> None: ...
