from google.protobuf import struct_pb2 as _struct_pb2
from nextlabel.v1 import tensor_pb2 as _tensor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StrategyKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STRATEGY_KIND_UNSPECIFIED: _ClassVar[StrategyKind]
    STRATEGY_KIND_ROW_WISE: _ClassVar[StrategyKind]
    STRATEGY_KIND_WHOLE_POOL: _ClassVar[StrategyKind]

class ParameterType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARAMETER_TYPE_UNSPECIFIED: _ClassVar[ParameterType]
    PARAMETER_TYPE_BOOL: _ClassVar[ParameterType]
    PARAMETER_TYPE_INTEGER: _ClassVar[ParameterType]
    PARAMETER_TYPE_NUMBER: _ClassVar[ParameterType]
    PARAMETER_TYPE_CHOICE: _ClassVar[ParameterType]

class TensorRows(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENSOR_ROWS_UNSPECIFIED: _ClassVar[TensorRows]
    TENSOR_ROWS_POOL: _ClassVar[TensorRows]
    TENSOR_ROWS_REFERENCE: _ClassVar[TensorRows]

class OutputRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_ROLE_UNSPECIFIED: _ClassVar[OutputRole]
    OUTPUT_ROLE_PROBABILITIES: _ClassVar[OutputRole]
    OUTPUT_ROLE_EMBEDDINGS: _ClassVar[OutputRole]
STRATEGY_KIND_UNSPECIFIED: StrategyKind
STRATEGY_KIND_ROW_WISE: StrategyKind
STRATEGY_KIND_WHOLE_POOL: StrategyKind
PARAMETER_TYPE_UNSPECIFIED: ParameterType
PARAMETER_TYPE_BOOL: ParameterType
PARAMETER_TYPE_INTEGER: ParameterType
PARAMETER_TYPE_NUMBER: ParameterType
PARAMETER_TYPE_CHOICE: ParameterType
TENSOR_ROWS_UNSPECIFIED: TensorRows
TENSOR_ROWS_POOL: TensorRows
TENSOR_ROWS_REFERENCE: TensorRows
OUTPUT_ROLE_UNSPECIFIED: OutputRole
OUTPUT_ROLE_PROBABILITIES: OutputRole
OUTPUT_ROLE_EMBEDDINGS: OutputRole

class ParameterDeclaration(_message.Message):
    __slots__ = ("name", "type", "default_value", "minimum", "maximum", "exclusive_minimum", "choices", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_MINIMUM_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: ParameterType
    default_value: _struct_pb2.Value
    minimum: float
    maximum: float
    exclusive_minimum: bool
    choices: _containers.RepeatedScalarFieldContainer[str]
    description: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[ParameterType, str]] = ..., default_value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., exclusive_minimum: bool = ..., choices: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ...) -> None: ...

class TensorDeclaration(_message.Message):
    __slots__ = ("name", "shape", "data_types", "rows", "required", "description", "instead_of")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    INSTEAD_OF_FIELD_NUMBER: _ClassVar[int]
    name: str
    shape: _containers.RepeatedScalarFieldContainer[str]
    data_types: _containers.RepeatedScalarFieldContainer[_tensor_pb2.DataType]
    rows: TensorRows
    required: bool
    description: str
    instead_of: str
    def __init__(self, name: _Optional[str] = ..., shape: _Optional[_Iterable[str]] = ..., data_types: _Optional[_Iterable[_Union[_tensor_pb2.DataType, str]]] = ..., rows: _Optional[_Union[TensorRows, str]] = ..., required: bool = ..., description: _Optional[str] = ..., instead_of: _Optional[str] = ...) -> None: ...

class StrategyInfo(_message.Message):
    __slots__ = ("name", "aliases", "family", "description", "formula", "kind", "tensors", "parameters", "stochastic", "time", "memory", "reference", "may_pick_fewer", "covers")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FORMULA_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    STOCHASTIC_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    MAY_PICK_FEWER_FIELD_NUMBER: _ClassVar[int]
    COVERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    family: str
    description: str
    formula: str
    kind: StrategyKind
    tensors: _containers.RepeatedCompositeFieldContainer[TensorDeclaration]
    parameters: _containers.RepeatedCompositeFieldContainer[ParameterDeclaration]
    stochastic: bool
    time: str
    memory: str
    reference: str
    may_pick_fewer: bool
    covers: bool
    def __init__(self, name: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., family: _Optional[str] = ..., description: _Optional[str] = ..., formula: _Optional[str] = ..., kind: _Optional[_Union[StrategyKind, str]] = ..., tensors: _Optional[_Iterable[_Union[TensorDeclaration, _Mapping]]] = ..., parameters: _Optional[_Iterable[_Union[ParameterDeclaration, _Mapping]]] = ..., stochastic: bool = ..., time: _Optional[str] = ..., memory: _Optional[str] = ..., reference: _Optional[str] = ..., may_pick_fewer: bool = ..., covers: bool = ...) -> None: ...

class SamplingInfo(_message.Message):
    __slots__ = ("name", "description", "parameters", "reference")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    parameters: _containers.RepeatedCompositeFieldContainer[ParameterDeclaration]
    reference: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[ParameterDeclaration, _Mapping]]] = ..., reference: _Optional[str] = ...) -> None: ...

class ModelTensor(_message.Message):
    __slots__ = ("name", "data_type", "shape", "onnx_type", "role")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    ONNX_TYPE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    data_type: _tensor_pb2.DataType
    shape: _containers.RepeatedScalarFieldContainer[int]
    onnx_type: str
    role: OutputRole
    def __init__(self, name: _Optional[str] = ..., data_type: _Optional[_Union[_tensor_pb2.DataType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., onnx_type: _Optional[str] = ..., role: _Optional[_Union[OutputRole, str]] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("version", "inputs", "outputs", "activation", "batch_size", "problem", "stochastic", "file_problem")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    STOCHASTIC_FIELD_NUMBER: _ClassVar[int]
    FILE_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    version: str
    inputs: _containers.RepeatedCompositeFieldContainer[ModelTensor]
    outputs: _containers.RepeatedCompositeFieldContainer[ModelTensor]
    activation: str
    batch_size: int
    problem: str
    stochastic: bool
    file_problem: str
    def __init__(self, version: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[ModelTensor, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[ModelTensor, _Mapping]]] = ..., activation: _Optional[str] = ..., batch_size: _Optional[int] = ..., problem: _Optional[str] = ..., stochastic: bool = ..., file_problem: _Optional[str] = ...) -> None: ...

class ModelInfo(_message.Message):
    __slots__ = ("name", "versions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    def __init__(self, name: _Optional[str] = ..., versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ...) -> None: ...
