"""The listings: strategies, models and the server itself, from their declarations."""

from collections.abc import Iterable

from google.protobuf import struct_pb2

from nextlabel import wire
from nextlabel.v1 import catalog_pb2, service_pb2
from nextlabel_server.inference import Model, ModelRepository, TensorInfo
from nextlabel_server.selection import (
    COMMON_TENSORS,
    SamplingMethod,
    Strategy,
    TensorInput,
    all_samplings,
    all_strategies,
)
from nextlabel_server.selection.parameters import Parameter

_TYPES = {
    bool: catalog_pb2.PARAMETER_TYPE_BOOL,
    int: catalog_pb2.PARAMETER_TYPE_INTEGER,
    float: catalog_pb2.PARAMETER_TYPE_NUMBER,
    str: catalog_pb2.PARAMETER_TYPE_CHOICE,
}
_KINDS = {
    "row_wise": catalog_pb2.STRATEGY_KIND_ROW_WISE,
    "whole_pool": catalog_pb2.STRATEGY_KIND_WHOLE_POOL,
}
_ROWS = {
    "pool": catalog_pb2.TENSOR_ROWS_POOL,
    "reference": catalog_pb2.TENSOR_ROWS_REFERENCE,
}
_ROLES = {
    "": catalog_pb2.OUTPUT_ROLE_UNSPECIFIED,
    "probabilities": catalog_pb2.OUTPUT_ROLE_PROBABILITIES,
    "embeddings": catalog_pb2.OUTPUT_ROLE_EMBEDDINGS,
}


def list_strategies() -> service_pb2.ListStrategiesResponse:
    return service_pb2.ListStrategiesResponse(
        strategies=[_strategy(strategy) for strategy in all_strategies().values()],
        samplings=[_sampling(method) for method in all_samplings().values()],
        common_tensors=[_tensor(tensor) for tensor in COMMON_TENSORS],
    )


def list_models(models: ModelRepository) -> service_pb2.ListModelsResponse:
    return service_pb2.ListModelsResponse(
        models=[
            catalog_pb2.ModelInfo(
                name=versions[0].name,
                versions=[_version(model, models.file_problem(model)) for model in versions],
            )
            for versions in models.models()
        ]
    )


def _strategy(strategy: Strategy) -> catalog_pb2.StrategyInfo:
    return catalog_pb2.StrategyInfo(
        name=strategy.name,
        aliases=strategy.aliases,
        family=strategy.family,
        description=strategy.description,
        formula=strategy.formula,
        kind=_KINDS[strategy.kind],
        tensors=[
            *(_tensor(t, optional=t in strategy.optional) for t in strategy.tensors),
            *_alternatives(strategy),
        ],
        parameters=_parameters(strategy.parameters),
        stochastic=strategy.stochastic,
        time=strategy.time,
        memory=strategy.memory,
        reference=strategy.reference,
        may_pick_fewer=strategy.may_pick_fewer,
        covers=strategy.covers,
    )


def _sampling(method: SamplingMethod) -> catalog_pb2.SamplingInfo:
    return catalog_pb2.SamplingInfo(
        name=method.name,
        description=method.description,
        parameters=_parameters(method.parameters),
        reference=method.reference,
    )


def _alternatives(strategy: Strategy) -> list[catalog_pb2.TensorDeclaration]:
    """The tensors that may be sent in the place of one that the strategy needs."""
    alternatives = []
    for wanted, *others in strategy.needs:
        for tensor in others:
            message = _tensor(tensor)
            message.required, message.instead_of = False, wanted.name
            alternatives.append(message)
    return alternatives


def _tensor(tensor: TensorInput, *, optional: bool = False) -> catalog_pb2.TensorDeclaration:
    return catalog_pb2.TensorDeclaration(
        name=tensor.name,
        shape=tensor.shape,
        data_types=[wire.data_type_of(dtype) for dtype in tensor.dtypes],
        rows=_ROWS[tensor.rows],
        required=tensor.required and not optional,
        description=tensor.description,
    )


def _parameters(parameters: Iterable[Parameter]) -> list[catalog_pb2.ParameterDeclaration]:
    messages = []
    for parameter in parameters:
        default = None
        if parameter.default is not None:
            default = struct_pb2.Value()
            if parameter.type is bool:
                default.bool_value = bool(parameter.default)
            elif parameter.type is str:
                default.string_value = str(parameter.default)
            else:
                default.number_value = float(parameter.default)
        messages.append(
            catalog_pb2.ParameterDeclaration(
                name=parameter.name,
                type=_TYPES[parameter.type],
                default_value=default,
                minimum=parameter.minimum,
                maximum=parameter.maximum,
                exclusive_minimum=parameter.exclusive_minimum,
                choices=parameter.choices,
                description=parameter.description,
            )
        )
    return messages


def _version(model: Model, file_problem: str | None) -> catalog_pb2.ModelVersion:
    return catalog_pb2.ModelVersion(
        version=str(model.version),
        inputs=[_model_tensor(tensor) for tensor in model.inputs],
        outputs=[_model_tensor(tensor) for tensor in model.outputs],
        activation=model.activation,
        batch_size=model.batch_size,
        problem=model.problem or "",
        stochastic=model.stochastic,
        file_problem=file_problem or "",
    )


def _model_tensor(tensor: TensorInfo) -> catalog_pb2.ModelTensor:
    return catalog_pb2.ModelTensor(
        name=tensor.name,
        data_type=None if tensor.dtype is None else wire.data_type_of(tensor.dtype),
        shape=[-1 if size is None else size for size in tensor.shape],
        onnx_type=tensor.onnx_type,
        role=_ROLES[tensor.role],
    )
