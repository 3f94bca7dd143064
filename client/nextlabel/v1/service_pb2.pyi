from nextlabel.v1 import catalog_pb2 as _catalog_pb2
from nextlabel.v1 import selection_pb2 as _selection_pb2
from nextlabel.v1 import tensor_pb2 as _tensor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SelectRequest(_message.Message):
    __slots__ = ("spec", "pool", "inputs", "references", "row_count")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    spec: _selection_pb2.SelectionSpec
    pool: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.Tensor]
    inputs: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.Tensor]
    references: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.Tensor]
    row_count: int
    def __init__(self, spec: _Optional[_Union[_selection_pb2.SelectionSpec, _Mapping]] = ..., pool: _Optional[_Iterable[_Union[_tensor_pb2.Tensor, _Mapping]]] = ..., inputs: _Optional[_Iterable[_Union[_tensor_pb2.Tensor, _Mapping]]] = ..., references: _Optional[_Iterable[_Union[_tensor_pb2.Tensor, _Mapping]]] = ..., row_count: _Optional[int] = ...) -> None: ...

class SelectResponse(_message.Message):
    __slots__ = ("ranking", "all_scores", "summary", "nearest_picks")
    RANKING_FIELD_NUMBER: _ClassVar[int]
    ALL_SCORES_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    NEAREST_PICKS_FIELD_NUMBER: _ClassVar[int]
    ranking: _selection_pb2.Ranking
    all_scores: _selection_pb2.RowScores
    summary: _selection_pb2.SelectionSummary
    nearest_picks: _selection_pb2.NearestPicks
    def __init__(self, ranking: _Optional[_Union[_selection_pb2.Ranking, _Mapping]] = ..., all_scores: _Optional[_Union[_selection_pb2.RowScores, _Mapping]] = ..., summary: _Optional[_Union[_selection_pb2.SelectionSummary, _Mapping]] = ..., nearest_picks: _Optional[_Union[_selection_pb2.NearestPicks, _Mapping]] = ...) -> None: ...

class SelectStreamRequest(_message.Message):
    __slots__ = ("header", "reference_block", "row_block")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_BLOCK_FIELD_NUMBER: _ClassVar[int]
    ROW_BLOCK_FIELD_NUMBER: _ClassVar[int]
    header: SelectStreamHeader
    reference_block: ReferenceBlock
    row_block: RowBlock
    def __init__(self, header: _Optional[_Union[SelectStreamHeader, _Mapping]] = ..., reference_block: _Optional[_Union[ReferenceBlock, _Mapping]] = ..., row_block: _Optional[_Union[RowBlock, _Mapping]] = ...) -> None: ...

class SelectStreamHeader(_message.Message):
    __slots__ = ("spec", "pool", "inputs", "references", "streamed_references", "row_count")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    STREAMED_REFERENCES_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    spec: _selection_pb2.SelectionSpec
    pool: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.TensorSpec]
    inputs: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.TensorSpec]
    references: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.Tensor]
    streamed_references: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.TensorSpec]
    row_count: int
    def __init__(self, spec: _Optional[_Union[_selection_pb2.SelectionSpec, _Mapping]] = ..., pool: _Optional[_Iterable[_Union[_tensor_pb2.TensorSpec, _Mapping]]] = ..., inputs: _Optional[_Iterable[_Union[_tensor_pb2.TensorSpec, _Mapping]]] = ..., references: _Optional[_Iterable[_Union[_tensor_pb2.Tensor, _Mapping]]] = ..., streamed_references: _Optional[_Iterable[_Union[_tensor_pb2.TensorSpec, _Mapping]]] = ..., row_count: _Optional[int] = ...) -> None: ...

class ReferenceBlock(_message.Message):
    __slots__ = ("name", "first_row", "row_count", "contents")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    first_row: int
    row_count: int
    contents: _tensor_pb2.TensorContents
    def __init__(self, name: _Optional[str] = ..., first_row: _Optional[int] = ..., row_count: _Optional[int] = ..., contents: _Optional[_Union[_tensor_pb2.TensorContents, _Mapping]] = ...) -> None: ...

class RowBlock(_message.Message):
    __slots__ = ("first_row", "row_count", "tensors")
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    first_row: int
    row_count: int
    tensors: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.TensorContents]
    def __init__(self, first_row: _Optional[int] = ..., row_count: _Optional[int] = ..., tensors: _Optional[_Iterable[_Union[_tensor_pb2.TensorContents, _Mapping]]] = ...) -> None: ...

class SelectStreamResponse(_message.Message):
    __slots__ = ("progress", "ranking", "all_scores", "summary", "nearest_picks")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RANKING_FIELD_NUMBER: _ClassVar[int]
    ALL_SCORES_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    NEAREST_PICKS_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    ranking: _selection_pb2.Ranking
    all_scores: _selection_pb2.RowScores
    summary: _selection_pb2.SelectionSummary
    nearest_picks: _selection_pb2.NearestPicks
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., ranking: _Optional[_Union[_selection_pb2.Ranking, _Mapping]] = ..., all_scores: _Optional[_Union[_selection_pb2.RowScores, _Mapping]] = ..., summary: _Optional[_Union[_selection_pb2.SelectionSummary, _Mapping]] = ..., nearest_picks: _Optional[_Union[_selection_pb2.NearestPicks, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("rows_received", "rows_scored", "picks_made", "picks_wanted")
    ROWS_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    ROWS_SCORED_FIELD_NUMBER: _ClassVar[int]
    PICKS_MADE_FIELD_NUMBER: _ClassVar[int]
    PICKS_WANTED_FIELD_NUMBER: _ClassVar[int]
    rows_received: int
    rows_scored: int
    picks_made: int
    picks_wanted: int
    def __init__(self, rows_received: _Optional[int] = ..., rows_scored: _Optional[int] = ..., picks_made: _Optional[int] = ..., picks_wanted: _Optional[int] = ...) -> None: ...

class ListStrategiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListStrategiesResponse(_message.Message):
    __slots__ = ("strategies", "samplings", "common_tensors")
    STRATEGIES_FIELD_NUMBER: _ClassVar[int]
    SAMPLINGS_FIELD_NUMBER: _ClassVar[int]
    COMMON_TENSORS_FIELD_NUMBER: _ClassVar[int]
    strategies: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.StrategyInfo]
    samplings: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.SamplingInfo]
    common_tensors: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.TensorDeclaration]
    def __init__(self, strategies: _Optional[_Iterable[_Union[_catalog_pb2.StrategyInfo, _Mapping]]] = ..., samplings: _Optional[_Iterable[_Union[_catalog_pb2.SamplingInfo, _Mapping]]] = ..., common_tensors: _Optional[_Iterable[_Union[_catalog_pb2.TensorDeclaration, _Mapping]]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.ModelInfo]
    def __init__(self, models: _Optional[_Iterable[_Union[_catalog_pb2.ModelInfo, _Mapping]]] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "max_rows", "max_message_bytes", "memory_budget_bytes", "recommended_block_bytes")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MAX_ROWS_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BUDGET_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDED_BLOCK_BYTES_FIELD_NUMBER: _ClassVar[int]
    version: str
    max_rows: int
    max_message_bytes: int
    memory_budget_bytes: int
    recommended_block_bytes: int
    def __init__(self, version: _Optional[str] = ..., max_rows: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., memory_budget_bytes: _Optional[int] = ..., recommended_block_bytes: _Optional[int] = ...) -> None: ...
