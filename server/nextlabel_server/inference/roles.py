"""Which output of a model is what.

The TOML file beside the model says it, or else names, types and shapes do. Order never does:
exporters put labels, distances and probabilities first, second or last as they like.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from nextlabel_server.inference.settings import Activation, ModelSettings
from nextlabel_server.inference.tensors import TensorInfo, describe
from nextlabel_server.inference.unusable import Unusable

# All are searched in `_words(name)`. Logarithms of probabilities are logits: softmax undoes them.
# Not those of a word that only ends in "log": blog_probability, catalogProb.
_LOGITS = re.compile(r"logits?(?![a-z])|(?<![a-z])log(it|_?softmax|_?prob)")
_PROBABILITIES = re.compile(r"probabilit|(?<![a-z])proba?s?(?![a-z])|softmax|sigmoid")
_EMBEDDINGS = re.compile(
    r"embed(ding)?s?(?![a-z])|(?<![a-z])(features?|latents?|pooled)(?![a-z])|pooler_output"
)
# Two-dimensional outputs that are no classes: what skl2onnx calls regressions and transformed
# columns ("variable"), and distances to cluster centres ("scores"); boxes of detectors.
_OTHERS = re.compile(r"^variable\d*$|^transformed|^scores\d*$|distance|regress|box")

# skl2onnx, zipmap='columns': one output a class, an "i" or "s" before the class itself.
_CLASS_COLUMN = {"tensor(int64)": re.compile(r"i-?\d+"), "tensor(string)": re.compile(r"(?s)s.*")}


@dataclass(frozen=True, slots=True)
class Roles:
    """The outputs that are used, by name."""

    probabilities: tuple[str, ...]
    """Outputs whose columns, joined in this order, are the classes; empty when there are none."""
    embeddings: str | None
    activation: Activation
    """What turns the probabilities output into probabilities."""
    doubt: str | None
    """Why there are no probabilities, and what to do about it; None when there are."""


def assign_roles(
    outputs: Sequence[TensorInfo], settings: ModelSettings, *, producer: str, settings_name: str
) -> Roles:
    """Finds the probabilities and the embeddings among `outputs`.

    `producer` is the exporter that signed the model. Raises Unusable when the settings name
    outputs that do not exist or cannot be what they are said to be.
    """
    _check_settings(outputs, settings, settings_name)
    possible = [output for output in outputs if output.name != settings.embeddings]
    probabilities = settings.probabilities or _find_probabilities(possible)
    embeddings = settings.embeddings or _find_embeddings(outputs, probabilities)
    activation = settings.activation or _default_activation(possible, probabilities, producer)
    if activation == "softmax" and _column_count(outputs, probabilities) == 1:
        raise Unusable(
            f"{settings_name}: activation = 'softmax' makes 1 of any single column, and "
            f"'{probabilities[0]}' has only one: write activation = \"sigmoid\""
        )
    doubt = None if probabilities else _doubt(outputs, possible, settings_name)
    return Roles(probabilities, embeddings, activation, doubt)


def _find_probabilities(outputs: Sequence[TensorInfo]) -> tuple[str, ...]:
    """Names the outputs that hold the class probabilities; none when none, or several, could."""
    if columns := _class_columns(outputs):
        return columns
    kinds = (
        [output for output in outputs if _is_named_probabilities(output)],
        [output for output in outputs if _is_named_logits(output)],
        [output for output in outputs if _is_nameless_matrix(output)],
    )
    candidates = next(filter(None, kinds), [])
    return (candidates[0].name,) if len(candidates) == 1 else ()


def _find_embeddings(outputs: Sequence[TensorInfo], taken: Sequence[str]) -> str | None:
    names = [
        output.name
        for output in outputs
        if output.is_float
        and len(output.shape) == 2
        and output.name not in taken
        and _EMBEDDINGS.search(_words(output.name))
    ]
    return names[0] if len(names) == 1 else None


def _class_columns(outputs: Sequence[TensorInfo]) -> tuple[str, ...]:
    """Names the class outputs when all there is are a label and one column for each class."""
    labels = [output for output in outputs if output.onnx_type in _CLASS_COLUMN]
    columns = [output for output in outputs if output not in labels]
    if len(labels) != 1 or len(columns) < 2:
        return ()
    pattern = _CLASS_COLUMN[labels[0].onnx_type]
    if all(c.is_float and len(c.shape) == 1 and pattern.fullmatch(c.name) for c in columns):
        return tuple(column.name for column in columns)
    return ()


def _is_named_probabilities(output: TensorInfo) -> bool:
    words = _words(output.name)
    named = _PROBABILITIES.search(words) and not _LOGITS.search(words)
    return output.is_zipmap or (bool(named) and _has_class_shape(output))


def _is_named_logits(output: TensorInfo) -> bool:
    return bool(_LOGITS.search(_words(output.name))) and _has_class_shape(output)


def _is_nameless_matrix(output: TensorInfo) -> bool:
    """Two-dimensional, and neither its name nor its one column speaks against classes."""
    words = _words(output.name)
    other = _EMBEDDINGS.search(words) or _OTHERS.search(words)
    return output.is_float and len(output.shape) == 2 and output.shape[1] != 1 and not other


def _has_class_shape(output: TensorInfo) -> bool:
    """[rows, classes], [rows], or a shape that the model does not tell."""
    return output.is_float and len(output.shape) <= 2


def _default_activation(
    outputs: Sequence[TensorInfo], names: Sequence[str], producer: str
) -> Activation:
    one_column = _column_count(outputs, names) == 1
    if names == _class_columns(outputs):
        return "none"  # the names are those of the classes
    if any(_LOGITS.search(_words(name)) for name in names):
        return "sigmoid" if one_column else "softmax"
    # What skl2onnx calls `probabilities` has one column only for a classifier without any, such
    # as a binary LinearSVC: it is the decision value then.
    return "sigmoid" if one_column and producer == "skl2onnx" else "none"


def _column_count(outputs: Sequence[TensorInfo], names: Sequence[str]) -> int | None:
    """Counts the columns of outputs that are joined; None when the model does not say."""
    shapes = {output.name: output.shape for output in outputs}
    total = 0
    for shape in (shapes[name] for name in names):
        columns = {1: 1, 2: shape[-1]}.get(len(shape)) if shape else None
        if columns is None:
            return None
        total += columns
    return total


def _words(name: str) -> str:
    """Spells a name in lower case with an underscore between words: classProb, class_prob."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _check_settings(
    outputs: Sequence[TensorInfo], settings: ModelSettings, settings_name: str
) -> None:
    """Raises Unusable when the outputs that the settings name cannot be what they say."""
    by_name = {output.name: output for output in outputs}
    named = [("probabilities", name) for name in settings.probabilities]
    if settings.embeddings is not None:
        named.append(("embeddings", settings.embeddings))

    for key, name in named:
        where = f"{settings_name}: {key} = '{name}'"
        if name not in by_name:
            raise Unusable(f"{where}: there is no such output, only {describe(outputs)}")
        output = by_name[name]
        if key == "probabilities":
            alone = len(settings.probabilities) == 1
            fits = _has_class_shape(output) or (output.is_zipmap and alone)
        else:
            fits = output.is_float and len(output.shape) in (0, 2)
        if not fits:
            raise Unusable(
                f"{where}: that is {describe([output])}; it takes a float tensor of two axes, "
                "rows first"
            )
    if settings.embeddings in settings.probabilities:
        raise Unusable(f"{settings_name}: one output cannot be probabilities and embeddings")


def _doubt(
    outputs: Sequence[TensorInfo], possible: Sequence[TensorInfo], settings_name: str
) -> str:
    possible = [o for o in possible if o.is_zipmap or (o.shape and _has_class_shape(o))]
    start = f"none of its outputs is known to hold class probabilities: {describe(outputs)}"
    if not possible:
        return f"{start}; export it with an output that does, a float tensor [rows, classes]"
    line = f"probabilities = {json.dumps(possible[0].name, ensure_ascii=False)}"
    return (
        f"{start}; if one does, name it in {settings_name}, for example by the line {line} "
        '(and activation = "softmax" or "sigmoid" if it holds logits)'
    )
