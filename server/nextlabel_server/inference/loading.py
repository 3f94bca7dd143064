"""From a file to a model that can be run, or that says why it cannot."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from nextlabel_server.inference.batch_size import (
    DEFAULT_LIMIT,
    BatchLimit,
    batch_rows,
    chosen_limit,
    fixed_rows,
)
from nextlabel_server.inference.layout import ModelFile
from nextlabel_server.inference.model import Model
from nextlabel_server.inference.randomness import controlled
from nextlabel_server.inference.roles import Roles, assign_roles
from nextlabel_server.inference.runtime import VERSION, Argument, Session, open_session
from nextlabel_server.inference.settings import ModelSettings, read_settings
from nextlabel_server.inference.tensors import Role, TensorInfo, describe, tensor_info
from nextlabel_server.inference.unusable import Unusable
from nextlabel_server.inference.weights import weights_problem

logger = logging.getLogger(__name__)

# A problem is shown in listings and refusals; a file may hold names of any length.
_SHOWN_PROBLEM = 4000


def load_model(file: ModelFile, *, threads: int) -> Model:
    """Loads one version of a model. Never fails: what is wrong with it is its `problem`."""
    model = Model(name=file.name, version=file.version)
    try:
        session = _open(file, threads)
        model = replace(model, inputs=_tensors(session.get_inputs()))
        model = replace(model, outputs=_tensors(session.get_outputs()))
        model = _plan(replace(model, session=session), session, file)
        model = _with_random_inputs(model, file, threads)
    except Unusable as error:
        return _refused(model, str(error), error.__cause__)
    except Exception as error:
        problem = (
            "the file cannot be read to its end: it may be damaged; export it again (the server's "
            "log has the details)"
        )
        return _refused(model, problem, error)
    if model.roles.doubt is not None:
        logger.warning("%s gives embeddings only: %s", model, model.roles.doubt)
    return model


def _refused(model: Model, problem: str, cause: BaseException | None) -> Model:
    if len(problem) > _SHOWN_PROBLEM:
        problem = f"{problem[:_SHOWN_PROBLEM]}…"
    detail = "no detail" if cause is None else f"{type(cause).__name__}: {cause}"
    logger.warning("%s cannot be used: %s (%s)", model, problem, detail)
    return replace(model, problem=problem, session=None)


def _plan(model: Model, session: Session, file: ModelFile) -> Model:
    """Settles the roles of the outputs and the size of a batch."""
    settings = read_settings(file.settings, file.settings_name)
    for tensor in model.inputs:
        if tensor.dtype is None:
            raise Unusable(f"its input {describe([tensor])} is of a type that cannot be sent")
    if not model.inputs:
        raise Unusable("it takes no inputs, so it says nothing about the rows of a pool")
    fixed = fixed_rows(model.inputs)
    limit = _limit(fixed, settings, file.settings_name)
    producer = session.get_modelmeta().producer_name
    roles = assign_roles(
        model.outputs, settings, producer=producer, settings_name=file.settings_name
    )
    if roles.doubt is not None and roles.embeddings is None:
        raise Unusable(roles.doubt)
    return replace(
        model,
        inputs=tuple(_with_open_rows(tensor, fixed) for tensor in model.inputs),
        outputs=tuple(
            replace(_with_open_rows(output, fixed), role=_role(output, roles))
            for output in model.outputs
        ),
        batch_size=fixed or batch_rows(model.inputs, limit, declared={}),
        roles=roles,
        limit=limit,
        fixed_rows=fixed,
    )


def _with_random_inputs(model: Model, file: ModelFile, threads: int) -> Model:
    """Loads a model again that draws at random: with what it draws as inputs."""
    try:
        used = [output.name for output in model.outputs if output.role]
        found = controlled(file.path, used, model.fixed_rows)
    except Unusable:
        raise
    except Exception as error:
        raise Unusable(
            "what it draws at random cannot be given to it: export it again without (the server's "
            "log has the details)"
        ) from error
    if found is None:
        return model
    session = _open(file, threads, found.content)
    return replace(model, session=session, random_inputs=found.inputs)


def _open(file: ModelFile, threads: int, content: bytes | None = None) -> Session:
    try:
        return open_session(file.path, threads=threads, content=content)
    except Exception as error:
        raise Unusable(weights_problem(file.path) or _load_advice(str(error))) from error


def _load_advice(said: str) -> str:
    """Says what to do about a model that ONNX Runtime refuses, from what it `said`."""
    if "ZipMap" in said and "tensor(double)" in said:
        return "a ZipMap cannot follow double probabilities: export it with zipmap=False"
    if "Failed to construct locale" in said:
        return (
            "it lower-cases text by a system locale that this server does not have: export it "
            "with the TfidfVectorizer or CountVectorizer option locale='C.UTF-8', or install it"
        )
    return (
        f"the file is not a model that ONNX Runtime {VERSION} loads: it may be truncated, or use "
        "an operator or opset that is newer; export it again (the server's log has the details)"
    )


def _tensors(arguments: Sequence[Argument]) -> tuple[TensorInfo, ...]:
    return tuple(tensor_info(argument) for argument in arguments)


def _with_open_rows(tensor: TensorInfo, fixed: int | None) -> TensorInfo:
    """Opens the row axis of a model exported for one batch size: short batches are padded."""
    if fixed is None or not tensor.shape or tensor.shape[0] != fixed:
        return tensor
    return replace(tensor, shape=(None, *tensor.shape[1:]))


def _role(output: TensorInfo, roles: Roles) -> Role:
    if output.name in roles.probabilities:
        return "probabilities"
    return "embeddings" if output.name == roles.embeddings else ""


def _limit(fixed: int | None, settings: ModelSettings, settings_name: str) -> BatchLimit:
    if settings.batch_size is None:
        return DEFAULT_LIMIT
    if fixed is not None and settings.batch_size < fixed:
        raise Unusable(
            f"{settings_name}: batch_size = {settings.batch_size}, but the model was exported "
            f"for exactly {fixed} rows: leave the line out"
        )
    return chosen_limit(settings.batch_size)
