"""The pool in a file, as arguments of `Client.select`."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel import Client, ModelError, NotFoundError
from nextlabel.cli import tables
from nextlabel.errors import invalid
from nextlabel.v1 import catalog_pb2

SUFFIXES = (".npy", ".npz", ".csv", ".parquet")

TENSORS = (
    "probabilities",
    "embeddings",
    "committee",
    "std",
    "committee_values",
    "predictions",
    "item_offsets",
    "cost_matrix",
    "labeled_embeddings",
    "labeled_labels",
    "labeled_probabilities",
    "labeled_values",
    "target_committee",
)
"""Arguments of `Client.select` that an archive may hold by their names."""

_NOT_HERE = {
    "costs": "a budget by cost is for Client.select",
    "groups": "quotas are for Client.select",
    "excluded": "--exclude says which rows not to pick",
}
"""Tensors of every strategy that would change nothing here, and what to do instead."""

Inputs = Sequence[catalog_pb2.ModelTensor]


def inputs_of(client: Client, name: str, version: str) -> Inputs:
    """What a model takes.

    Raises:
        NotFoundError: there is no such model or version.
        ModelError: it cannot be used.
    """
    models = {model.name: model for model in client.models()}
    if name not in models:
        there_is = ", ".join(models) or "none"
        raise NotFoundError(f"no model {name!r} on this server; there is {there_is}")
    versions = {each.version: each for each in models[name].versions}
    if version and version not in versions:
        raise NotFoundError(
            f"model {name!r} has no version {version!r}; there is {', '.join(versions)}"
        )
    if version:
        served = versions[version]
    else:  # as the server chooses: the highest that can be used
        highest_first = models[name].versions
        served = next((each for each in highest_first if not each.problem), highest_first[0])
    if served.problem:
        raise ModelError(f"model {name!r}, version {served.version}: {served.problem}")
    return list(served.inputs)


def read(path: Path, inputs: Inputs | None, id_column: str | None) -> dict[str, Any]:
    """The arguments that the file stands for: probabilities or inputs, ids where it has them.

    Args:
        path: a file with one of SUFFIXES.
        inputs: what the model takes; None when the file holds probabilities.
        id_column: which column holds the ids, for a table.

    Raises:
        InvalidRequestError: the file cannot be read, or does not hold what is needed.
    """
    if path.suffix not in SUFFIXES:
        raise invalid(str(path), f"is none of {', '.join(SUFFIXES)}")
    if path.suffix in (".csv", ".parquet"):
        return tables.read(path, inputs, id_column)
    if id_column is not None:
        raise invalid("--id-column", f"{path} has no columns; tables have")
    return _archive(path, inputs) if path.suffix == ".npz" else _array(path, inputs)


def _array(path: Path, inputs: Inputs | None) -> dict[str, Any]:
    if inputs is None:
        return {"probabilities": path}
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs)
        raise invalid(
            str(path), f"holds one array, and the model takes {names}: a .npz file can hold them"
        )
    return {"inputs": {inputs[0].name: path}}


def _archive(path: Path, inputs: Inputs | None) -> dict[str, Any]:
    try:
        with np.load(path) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise invalid(str(path), f"cannot be read: {error}") from None

    def array(name: str) -> Any:  # noqa: ANN401 - of any type
        if name not in arrays:
            raise invalid(
                str(path), f"has no array named {name!r}; it has {', '.join(arrays) or 'none'}"
            )
        return arrays[name]

    taken = {each.name for each in inputs or ()}
    for name, instead in _NOT_HERE.items():
        if name in arrays and name not in taken:
            raise invalid(str(path), f"has an array named {name!r}; {instead}")
    pool: dict[str, Any] = {n: arrays[n] for n in TENSORS if n in arrays and n not in taken}
    if inputs is not None:
        pool["inputs"] = {each.name: array(each.name) for each in inputs}
    elif not pool:
        pool["probabilities"] = array("probabilities")
    if "ids" in arrays:
        pool["ids"] = _ids(arrays["ids"])
    return pool


def _ids(ids: np.ndarray) -> np.ndarray:
    if ids.ndim != 1 or ids.dtype.kind not in "iuUS":
        raise invalid(
            "ids", f"found {ids.dtype} {list(ids.shape)}; a row of numbers or text is right"
        )
    return np.strings.decode(ids) if ids.dtype.kind == "S" else ids
