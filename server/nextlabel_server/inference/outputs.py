"""From what a run of a model returns to matrices, one row for each row of the batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nextlabel_server.inference.settings import Activation
from nextlabel_server.inference.unusable import Unusable


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a model says about the rows of one batch. Finite or not: nobody has looked yet."""

    members: tuple[np.ndarray, ...]
    """[n, C] floats for each pass: class probabilities, or logits when there is an activation;
    empty when the model gives none."""
    embeddings: np.ndarray | None
    """[n, D] floats; the mean over the passes."""

    @property
    def probabilities(self) -> np.ndarray | None:
        """Those of the first pass, which is the only one of a model that draws nothing."""
        return self.members[0] if self.members else None


def read_probabilities(
    values: Mapping[str, object],
    names: Sequence[str],
    rows: int,
    activation: Activation,
    *,
    exclusive: bool = True,
) -> np.ndarray:
    """Joins the columns of the outputs `names`: [rows, C].

    A single column q is the probability of the positive class, and becomes [1-q, q] in float64,
    where the complement of a float32 is as good as exact. With a sigmoid still to come it stays
    one column, a logit, and so does the only label of labels that are not `exclusive`. Raises
    Unusable when the values are no such matrix.
    """
    columns = [_matrix(name, _score_columns(name, values[name]), rows) for name in names]
    matrix = columns[0] if len(columns) == 1 else np.hstack(columns)
    if matrix.shape[1] != 1 or activation == "sigmoid" or not exclusive:
        return matrix
    if activation == "softmax":
        raise Unusable(
            f"its output '{names[0]}' has one column, of which softmax makes 1: use sigmoid"
        )
    positive = matrix.astype(np.float64)
    return np.hstack([1.0 - positive, positive])


def read_embeddings(values: Mapping[str, object], name: str, rows: int) -> np.ndarray:
    """Returns the output `name`: [rows, D]. Raises Unusable when it is no such matrix."""
    return _matrix(name, values[name], rows)


def _matrix(name: str, value: object, rows: int) -> np.ndarray:
    """Checks that `value` is a float matrix of `rows` rows."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        found = value.dtype.name if isinstance(value, np.ndarray) else type(value).__name__
        raise Unusable(f"its output '{name}' should hold floats, but the run gave {found}")
    if value.ndim != 2 or len(value) != rows or value.shape[1] == 0:
        raise Unusable(
            f"its output '{name}' should have the shape [{rows}, columns] for {rows} rows, but "
            f"the run gave {list(value.shape)}"
        )
    return value


def _score_columns(name: str, value: object) -> object:
    """Makes columns of the other forms that class scores come in."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return value[:, None]
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return _zipmap_matrix(name, value)
    return value


def _zipmap_matrix(name: str, maps: Sequence[Mapping[object, float]]) -> np.ndarray:
    """Undoes a ZipMap: one {class: probability} a row becomes [rows, C].

    ONNX Runtime returns the keys in ascending order (integers by value, strings by code point),
    which is the order of scikit-learn's `classes_`; the order in which the model lists its
    classes is lost. A ZipMap holds float32, so nothing is rounded here.
    """
    classes = list(maps[0])
    if any(list(row) != classes for row in maps):
        raise Unusable(f"its output '{name}' has different classes in different rows")
    return np.array([list(row.values()) for row in maps], np.float32)
