"""The arguments of a call as the contract's messages, or an error that names the argument."""

import numbers
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import struct_pb2

from nextlabel._sources import as_array
from nextlabel.errors import invalid
from nextlabel.v1 import selection_pb2

Sampling = str | Mapping[str, Any]


class Cost(float):
    """A budget by cost: what the picks may cost together, as in `budget=Cost(120)`."""


Budget = int | float | Cost
Prefilter = Mapping[str, Any]
MaxPerGroup = int | Mapping[int, int]
Version = str | int
Ids = Sequence[Any] | npt.NDArray[Any]

MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
_FLOATS = (np.float64, np.float32, np.float16)
_REFERENCE_TYPES: Mapping[str, tuple[type[np.generic], ...]] = {
    "item_offsets": (np.int64,),
    "cost_matrix": _FLOATS,
    "labeled_embeddings": _FLOATS,
    "labeled_probabilities": _FLOATS,
    "labeled_values": _FLOATS,
    "target_committee": _FLOATS,
    "labeled_labels": (np.int64, np.uint8, np.bool_, *_FLOATS),
}
"""The types that reference tensors are sent in; others become the first that can hold them."""


def constraints_of(
    max_per_group: MaxPerGroup | None, min_distance: float | None
) -> selection_pb2.Constraints | None:
    if max_per_group is None and min_distance is None:
        return None
    if min_distance is not None:
        min_distance = real("min_distance", min_distance)
    if isinstance(max_per_group, Mapping):
        quotas = {
            whole("max_per_group", group, -MAX_INT64 - 1, MAX_INT64): whole(
                f"max_per_group[{group}]", quota, 0, MAX_INT64
            )
            for group, quota in max_per_group.items()
        }
        return selection_pb2.Constraints(group_quotas=quotas, min_distance=min_distance)
    if max_per_group is not None:
        max_per_group = whole("max_per_group", max_per_group, 0, MAX_INT64)
    return selection_pb2.Constraints(max_per_group=max_per_group, min_distance=min_distance)


def prefilter_of(prefilter: Prefilter | None) -> selection_pb2.Prefilter | None:
    if prefilter is None:
        return None
    try:
        return selection_pb2.Prefilter(**prefilter)
    except (TypeError, ValueError, OverflowError):
        right = '{"strategy": name, "factor": number} is right'
        raise invalid("prefilter", f"found {prefilter!r}; {right}") from None


def budget_of(budget: object) -> selection_pb2.Budget:
    if isinstance(budget, Cost):
        return selection_pb2.Budget(cost=float(budget))
    if isinstance(budget, np.floating):
        # By its digits: np.float32(0.07) is a little above 0.07, and would round up to a row more.
        budget = float(str(budget))
    if isinstance(budget, bool) or not isinstance(budget, numbers.Real):
        raise invalid(
            "budget",
            f"found {budget!r}; a whole number of rows, or a fraction in (0, 1], is right",
        )
    if isinstance(budget, numbers.Integral):
        return selection_pb2.Budget(count=whole("budget", budget, 1, MAX_INT64))
    fraction = float(budget)
    if fraction > 1 or fraction <= 0 or fraction != fraction:
        raise invalid(
            "budget",
            f"found {fraction:g}; a float is a fraction of the pool in (0, 1], "
            "an int a number of rows",
        )
    return selection_pb2.Budget(fraction=fraction)


def text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise invalid(field, f"found {value!r}; a str is right")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(field, f"found {value!r}; text that UTF-8 can hold is right") from None
    return value


def truth(field: str, value: object) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise invalid(field, f"found {value!r}; True or False is right")


def real(field: str, value: object) -> float:
    if isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool):
        with suppress(OverflowError):  # a whole number may be larger than any float
            number = float(value)
            if number == number:
                return number
    raise invalid(field, f"found {value!r}; a number is right")


def mapping(field: str, value: object) -> Mapping[str, Any]:
    """Values by their names; None is none of them."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {text(field, name): each for name, each in value.items()}
    raise invalid(field, f"found {value!r}; names with their values are right")


def whole(field: str, value: object, lowest: int, highest: int) -> int:
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
        if lowest <= number <= highest:
            return number
    raise invalid(field, f"found {value!r}; a whole number from {lowest} to {highest} is right")


def reference_of(name: str, values: object) -> npt.NDArray[Any]:
    array = as_array(name, values)
    if array.ndim == 0:
        raise invalid(name, "found a single value; rows are right")
    takes = _REFERENCE_TYPES[name]
    if array.dtype in takes:
        return array
    fitting = [dtype for dtype in takes if np.can_cast(array.dtype, dtype, "same_kind")]
    if not fitting:
        right = ", ".join(dtype.__name__ for dtype in takes)
        raise invalid(name, f"found {array.dtype}; {right} is right")
    return _int64(name, array) if fitting[0] is np.int64 else array.astype(fitting[0])


def _int64(field: str, array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Whole numbers as int64, in which larger ones of uint64 would turn negative."""
    if array.size and array.max() > MAX_INT64:
        raise invalid(field, f"found {array.max()}; at most {MAX_INT64} is right")
    return array.astype(np.int64)


def models_of(
    model: str | Sequence[str], version: Version | Sequence[Version], passes: int
) -> list[selection_pb2.ModelReference]:
    """One model, or several with a version each; an empty version is the highest."""
    passes = whole("passes", passes, 1, MAX_INT32)
    names = _one_or_more("model", model, (str,), "a name, or several,")
    versions = _one_or_more(
        "model_version", version, (str, int, np.integer), "a version, or one for each model,"
    )
    if not any(names):
        for field, value, default in (("passes", passes, 1), ("model_version", versions, [""])):
            if value != default:
                raise invalid(field, f"found {value!r} without a model")
    if versions == [""]:
        versions *= len(names)
    if len(versions) != len(names):
        raise invalid(
            "model_version", f"found {len(versions)}; one for each of {len(names)} models is right"
        )
    return [
        selection_pb2.ModelReference(
            name=text("model", name), version=text("model_version", str(each)), passes=passes
        )
        for name, each in zip(names, versions, strict=True)
        if name
    ]


def _one_or_more(field: str, value: object, kinds: tuple[type, ...], right: str) -> list[Any]:
    values = [value]
    if isinstance(value, Iterable) and not isinstance(value, kinds):
        values = list(value)
    if all(isinstance(each, kinds) for each in values):
        return values
    raise invalid(field, f"found {value!r}; {right} is right")


def sampling_of(sampling: object) -> selection_pb2.Sampling | None:
    if sampling is None or (isinstance(sampling, str | Mapping) and not sampling):
        return None
    if isinstance(sampling, str):
        return selection_pb2.Sampling(method=text("sampling", sampling))
    parameters = dict(sampling) if isinstance(sampling, Mapping) else {}
    method = parameters.pop("method", None)
    if not isinstance(method, str):
        right = 'a name or {"method": name, parameter: value} is right'
        raise invalid("sampling", f"found {sampling!r}; {right}")
    return selection_pb2.Sampling(
        method=text("sampling.method", method),
        parameters=struct_of(parameters, "sampling.parameters"),
    )


def struct_of(parameters: Mapping[str, Any] | None, field: str) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    for name, value in mapping(field, parameters).items():
        plain = value.item() if isinstance(value, np.generic) else value
        try:
            struct[name] = plain
        except (ValueError, TypeError, OverflowError):
            raise invalid(
                f"{field}.{name}", f"found {value!r}; a number, bool or str is right"
            ) from None
    return struct


def sequence_of(field: str, values: object) -> Ids:
    """Any collection as a list, a tuple or a one-dimensional array."""
    if isinstance(values, list | tuple):
        return values
    if not hasattr(values, "__array__") and isinstance(values, Iterable):
        return list(values)
    array = as_array(field, values)
    if array.ndim != 1:
        raise invalid(field, f"found {type(values).__name__}; a sequence is right")
    return array


def is_mask(values: Ids | None) -> bool:
    if isinstance(values, np.ndarray):
        return bool(values.dtype == np.bool_)
    return bool(values) and all(isinstance(value, bool | np.bool_) for value in values or ())


def excluded_rows(given: Ids, ids: Ids | None) -> npt.NDArray[np.int64]:
    """Row numbers from row numbers, a mask, or the caller's own ids."""
    if ids is None or is_mask(given):
        rows = as_array("exclude", given)
        if rows.dtype == np.bool_:
            return np.flatnonzero(rows)
        if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
            raise invalid("exclude", f"found {rows.dtype}; row numbers, or a mask, are right")
        return _int64("exclude", rows)
    try:
        row_of = {own: row for row, own in enumerate(plain(ids))}
    except TypeError as error:
        raise invalid(
            "ids", f"cannot be told apart, so exclude cannot name them: {error}"
        ) from None
    if len(row_of) != len(ids):
        raise invalid("ids", "are not unique, so exclude cannot name them")
    found: dict[int, None] = {}
    for own in plain(given):
        row = None
        with suppress(TypeError):  # what cannot be hashed is no id
            row = row_of.get(own)
        if row is None:
            raise invalid("exclude", f"found {own!r}, which is not among ids")
        if row in found:
            raise invalid("exclude", f"found {own!r} more than once")
        found[row] = None
    return np.fromiter(found, np.int64)


def plain(values: Ids) -> list[Any]:
    if isinstance(values, np.ndarray):
        values = values.tolist()
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def taken(ids: Ids, rows: npt.NDArray[np.int64]) -> Any:  # noqa: ANN401
    if isinstance(ids, list | tuple):
        return [ids[row] for row in rows]
    return np.asarray(ids)[rows]
