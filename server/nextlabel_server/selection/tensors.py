"""Tensors as data: which ones a strategy takes, in which shape and type."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.items import EMPTY_SCORE, REDUCE, Items
from nextlabel_server.selection.labels import LabeledLabels
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.probabilities import Activation, ProbabilityReader
from nextlabel_server.selection.targets import Targets
from nextlabel_server.selection.tiles import (
    LARGEST,
    TileReader,
    ValueReader,
    right_numbers,
)

FLOATS = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))
UNKNOWN_ROWS = -1

Reader: TypeAlias = Callable[[Mapping[str, Any], Activation], TileReader]
"""Makes a reader of rows, given accepted parameters and the activation that a model has."""

Accept: TypeAlias = Callable[[str, npt.NDArray[np.generic]], Any]
"""Checks the values of a reference tensor, and makes of them what takes it works with."""


def finite_numbers(name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Numbers as float64.

    Raises:
        InvalidRequest: at the tensor `name`, naming the first that is not finite, or too large.
    """
    array = values.astype(np.float64)
    bad = np.argwhere(~(np.abs(array) <= LARGEST))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        right = right_numbers(array[at], LARGEST)
        raise InvalidRequest(name, f"found {array[at]} at {list(at)}; {right} are right")
    return array


@dataclass(frozen=True, slots=True)
class TensorInput:
    """One tensor that a strategy takes.

    `shape` is in letters; the same letter is the same size in every tensor of a request.
    `rows` tells whether its first axis is the pool's or its own. `parameters` are those that
    every strategy which takes this tensor has, because they say how to read it; `reader` makes
    of them, and of a model's own activation, what reads the rows of a pool tensor. `accept` is
    for a reference tensor: it runs once a request.
    """

    name: str
    shape: tuple[str, ...]
    rows: Literal["pool", "reference"]
    description: str
    dtypes: tuple[np.dtype, ...] = FLOATS
    required: bool = True
    parameters: tuple[Parameter, ...] = ()
    reader: Reader | None = None
    accept: Accept = finite_numbers


def _activation(parameters: Mapping[str, Any], models_own: Activation) -> Activation:
    asked: Literal["auto"] | Activation = parameters["activation"]
    return models_own if asked == "auto" else asked


def _exclusive(name: str) -> Reader:
    def reader(parameters: Mapping[str, Any], models_own: Activation) -> TileReader:
        return ProbabilityReader(
            _activation(parameters, models_own),
            parameters["tolerance"],
            parameters["renormalize"],
            name,
        )

    return reader


def _independent(parameters: Mapping[str, Any], models_own: Activation) -> TileReader:
    return ProbabilityReader(_activation(parameters, models_own), exclusive=False)


def probability_rows(name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Probability vectors, one a row or one for each member, as float64.

    Raises:
        InvalidRequest: at the tensor `name`, naming the first row that is not what it should be.
    """
    rows = np.empty(values.shape)
    floats = cast("npt.NDArray[np.floating]", values)
    with np.errstate(all="ignore"):  # what is not finite is found by its result
        for some, tile in ProbabilityReader(name=name).tiles(floats, 0):
            rows[some] = np.moveaxis(tile[..., : some.stop - some.start], -1, 0)
    return rows


def targets(name: str, values: npt.NDArray[np.generic]) -> Targets:
    """The same of each member for each target.

    Raises:
        InvalidRequest: as above.
    """
    return Targets.of(probability_rows(name, values))


ACTIVATION = Parameter(
    "activation",
    str,
    "What turns the tensor into probabilities. auto: what the model declares, and none for "
    "probabilities sent in the request. sigmoid on one column gives the two classes 1 − p and p.",
    default="auto",
    choices=("auto", "none", "softmax", "sigmoid"),
)
TOLERANCE = Parameter(
    "tolerance",
    float,
    "How far from 1 the sum of a row may be; FP16 is allowed 0.004 more.",
    default=1e-3,
    minimum=0,
    maximum=0.5,
)
RENORMALIZE = Parameter(
    "renormalize",
    bool,
    "Divide each row by its sum instead of refusing sums other than 1.",
    default=False,
)

PROBABILITIES = TensorInput(
    "probabilities",
    ("N", "C"),
    "pool",
    "Class probabilities of each row, or logits with an activation; the output of a model.",
    parameters=(ACTIVATION, TOLERANCE, RENORMALIZE),
    reader=_exclusive("probabilities"),
)
COMMITTEE = TensorInput(
    "committee",
    ("N", "M", "C"),
    "pool",
    "Class probabilities of each row by each member of a committee, or in each Monte-Carlo pass.",
    parameters=(ACTIVATION, TOLERANCE, RENORMALIZE),
    reader=_exclusive("committee"),
)
LABEL_PROBABILITIES = TensorInput(
    "probabilities",
    ("N", "C"),
    "pool",
    "Probability of each of C independent labels; rows need not sum to 1. The output of a model.",
    parameters=(
        replace(
            ACTIVATION,
            description="What turns the tensor into probabilities. auto: what the model declares, "
            "and none for probabilities sent in the request.",
            choices=("auto", "none", "sigmoid"),
        ),
    ),
    reader=_independent,
)
METRIC = Parameter(
    "metric",
    str,
    "Distance between embeddings: euclidean, or that of directions alone.",
    default="euclidean",
    choices=("euclidean", "cosine"),
)
EMBEDDINGS = TensorInput(
    "embeddings",
    ("N", "D"),
    "pool",
    "An embedding of each row, with numbers of at most 1e15 in size; a model's output counts.",
    parameters=(METRIC,),
)
EMBEDDINGS_AS_SENT = replace(EMBEDDINGS, parameters=())
"""Embeddings whose products count, and not only their distances: there is no metric to choose."""

DIRECTIONS = replace(
    EMBEDDINGS,
    description="An embedding of each row, not zero; only its direction counts. A model's output "
    "counts.",
    parameters=(),
)
SIMILAR_EMBEDDINGS = replace(
    EMBEDDINGS,
    description="An embedding of each row, with numbers of at most 1e15 in size, but not zero for "
    "the similarity cosine. A model's output counts.",
    parameters=(),
)
LABELED_EMBEDDINGS = TensorInput(
    "labeled_embeddings",
    ("L", "D"),
    "reference",
    "Embeddings of what is labeled already, as context.",
    required=False,
)
LABELED_EMBEDDINGS_REQUIRED = replace(LABELED_EMBEDDINGS, required=True)
LABELED_PROBABILITIES = TensorInput(
    "labeled_probabilities",
    ("L", "C"),
    "reference",
    "What the model predicts for what is labeled already: class probabilities of each row.",
    accept=probability_rows,
)
STD = TensorInput(
    "std",
    ("N",),
    "pool",
    "Standard deviation of each row's prediction, at least 0.",
    reader=lambda _parameters, _models_own: ValueReader("std", minimum=0.0),
)
COMMITTEE_VALUES = TensorInput(
    "committee_values",
    ("N", "M"),
    "pool",
    "The value that each member of a committee predicts for each row.",
    reader=lambda _parameters, _models_own: ValueReader("committee_values"),
)
PREDICTIONS = TensorInput(
    "predictions",
    ("N",),
    "pool",
    "The value that is predicted for each row.",
    reader=lambda _parameters, _models_own: ValueReader("predictions"),
)
LABELED_VALUES = TensorInput(
    "labeled_values",
    ("L",),
    "reference",
    "The values of what is labeled already, as context.",
    required=False,
)
TARGET_COMMITTEE = TensorInput(
    "target_committee",
    ("T", "M", "C"),
    "reference",
    "What the members predict for inputs that matter, such as a sample of those to come: "
    "probabilities, whatever the activation.",
    accept=targets,
)
COST_MATRIX = TensorInput(
    "cost_matrix",
    ("C", "C"),
    "reference",
    "K[c, j]: what it costs to decide for class j when class c is true; at most 1e100 in size.",
)
LABELED_LABELS = TensorInput(
    "labeled_labels",
    ("L", "C"),
    "reference",
    "Labels of the labeled rows: 1 where a label applies, else 0.",
    dtypes=(*FLOATS, np.dtype(np.uint8), np.dtype(np.bool_), np.dtype(np.int64)),
    accept=LabeledLabels.accept,
)
ITEM_OFFSETS = TensorInput(
    "item_offsets",
    ("I + 1",),
    "reference",
    "Makes I items of the pool's rows, which are then their parts, such as the tokens of a "
    "sentence: rows offsets[i] to offsets[i + 1] − 1 are item i. It is items that are ranked, "
    "excluded and counted.",
    dtypes=(np.dtype(np.int64), np.dtype(np.int32)),
    required=False,
    parameters=(REDUCE, EMPTY_SCORE),
    accept=Items.accept,
)
INTEGERS = tuple(
    np.dtype(kind)
    for kind in (np.int64, np.int32, np.int16, np.int8, np.uint32, np.uint16, np.uint8, np.bool_)
)
COSTS = TensorInput(
    "costs",
    ("N",),
    "pool",
    "What labeling each row costs, above 0; for a budget by cost.",
    required=False,
)
GROUPS = TensorInput(
    "groups",
    ("N",),
    "pool",
    "The group of each row, any whole number that an INT64 can hold; for quotas.",
    dtypes=INTEGERS,
    required=False,
)
EXCLUDED = TensorInput(
    "excluded",
    ("K",),
    "reference",
    "Row numbers that must not be picked, each at most once.",
    dtypes=(np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.uint32)),
    required=False,
)
COMMON_TENSORS = (EXCLUDED, COSTS, GROUPS)
"""Tensors that every strategy takes."""

Declared: TypeAlias = Mapping[str, tuple[np.dtype, tuple[int, ...]]]


def bind_shapes(inputs: Iterable[TensorInput], declared: Declared) -> dict[str, int]:
    """Checks declared types and shapes, and returns the size of each letter.

    Args:
        inputs: the tensors that are taken.
        declared: dtype and full shape by name; N may be -1, not known yet.

    Raises:
        InvalidRequest: at the tensor whose type, rank or size is wrong.
    """
    sizes: dict[str, tuple[int, str]] = {}
    for tensor in inputs:
        if tensor.name not in declared:
            continue
        dtype, shape = declared[tensor.name]
        if dtype not in tensor.dtypes:
            takes = ", ".join(str(d) for d in tensor.dtypes)
            raise InvalidRequest(tensor.name, f"found {dtype}; it takes {takes}")
        wanted = f"[{', '.join(tensor.shape)}]"
        if len(shape) != len(tensor.shape):
            raise InvalidRequest(tensor.name, f"found shape {list(shape)}; {wanted} is right")
        for letter, size in zip(tensor.shape, shape, strict=True):
            if size == 0 and letter not in ("N", "K", "L"):
                raise InvalidRequest(
                    tensor.name, f"found shape {list(shape)}; {letter} must be at least 1"
                )
            known, where = sizes.setdefault(letter, (size, tensor.name))
            if known != size:
                raise InvalidRequest(
                    tensor.name,
                    f"found shape {list(shape)}; {wanted} with {letter} = {known}, "
                    f"as in {where}, is right",
                )
    return {letter: size for letter, (size, _) in sizes.items()}
