"""A selection as messages: from arguments to what is sent, from what comes back to a Selection.

All that Client and AsyncClient have in common; neither waits for anything in here.
"""

import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import struct_pb2

from nextlabel import wire
from nextlabel._progress import Progress
from nextlabel._sources import UNKNOWN_ROWS, Source, aligned, as_array, source_of
from nextlabel.blocks import Block, Message
from nextlabel.errors import ServerError, invalid
from nextlabel.selection import Selection, Timings
from nextlabel.v1 import selection_pb2, service_pb2, tensor_pb2

BLOCK_BYTES = 1 << 20
UNARY_BYTES = 1 << 20
"""A pool of at most this size travels in one message; a larger one is streamed."""

MAX_INT64 = 2**63 - 1

Sampling = str | Mapping[str, Any]


class Cost(float):
    """A budget by cost: what the picks may cost together, as in `budget=Cost(120)`."""


Budget = int | float | Cost
MaxPerGroup = int | Mapping[int, int]
Version = str | int
Ids = Sequence[Any] | npt.NDArray[Any]

_FLOATS = (np.float64, np.float32, np.float16)
_REFERENCE_TYPES: Mapping[str, tuple[type[np.generic], ...]] = {
    "item_offsets": (np.int64,),
    "cost_matrix": _FLOATS,
    "labeled_embeddings": _FLOATS,
    "labeled_labels": (np.int64, np.uint8, np.bool_, *_FLOATS),
}
"""The types that reference tensors are sent in; others become the first that can hold them."""


class Request:
    """One selection, ready to be sent as often as it takes.

    `pool` and `references` are tensors by name; those that are None are left out. The other
    arguments are those of `BaseClient.select`.

    Raises:
        InvalidRequestError: an argument that no server could take.
    """

    def __init__(
        self,
        pool: Mapping[str, object],
        *,
        strategy: str,
        budget: Budget,
        model: str | Sequence[str] = "",
        model_version: Version | Sequence[Version] = "",
        inputs: Mapping[str, object] | None = None,
        pool_size: int | None = None,
        ids: Sequence[Any] | npt.NDArray[Any] | None = None,
        exclude: object = None,
        references: Mapping[str, object],
        max_per_group: MaxPerGroup | None = None,
        min_distance: float | None = None,
        parameters: Mapping[str, Any] | None = None,
        sampling: Sampling = "",
        seed: int | None = None,
        return_all_scores: bool = False,
        request_id: str = "",
    ) -> None:
        self._pool = [_numbers(name, rows) for name, rows in pool.items() if rows is not None]
        self._inputs = [source_of(name, rows) for name, rows in (inputs or {}).items()]
        self.row_count = _row_count(self._sources, pool_size)
        self._has_row_count = pool_size is not None
        self._ids = None if ids is None else _sequence("ids", ids)
        excluded = None if exclude is None else _sequence("exclude", exclude)
        self._references = {
            name: _reference(name, values)
            for name, values in references.items()
            if values is not None
        }
        self._offsets = self._references.get("item_offsets")
        candidates = self.row_count if self._offsets is None else len(self._offsets) - 1
        self._check_length("ids", self._ids, candidates)
        self._mask = excluded if _is_mask(excluded) else None
        self._check_length("exclude", self._mask, candidates)
        if excluded is not None:
            self._references["excluded"] = _excluded(excluded, self._ids)
        self._spec = selection_pb2.SelectionSpec(
            strategy=strategy,
            parameters=_struct(parameters or {}, "parameters"),
            budget=_budget(budget),
            sampling=_sampling(sampling),
            seed=None if seed is None else _whole("seed", seed, 0, 2**64 - 1),
            models=_models(model, model_version),
            return_all_scores=return_all_scores,
            request_id=request_id,
            constraints=_constraints(max_per_group, min_distance),
        )
        self.failure: Exception | None = None
        """What the caller's own batches raised while they were being sent."""

    @property
    def _sources(self) -> list[Source]:
        return [*self._pool, *self._inputs]

    @property
    def repeatable(self) -> bool:
        """Whether the pool can be read again for another attempt."""
        return all(source.repeatable for source in self._sources)

    @property
    def unary(self) -> bool:
        """Whether the pool and its answer fit into one message each."""
        if self.row_count == UNKNOWN_ROWS or any(source.is_text for source in self._sources):
            return False
        row_bytes = sum(source.row_bytes for source in self._sources) or 8
        references: int = sum(array.nbytes for array in self._references.values())
        return self.row_count * max(row_bytes, 8) + references <= UNARY_BYTES

    def rows_of(self, summary: selection_pb2.SelectionSummary) -> int:
        """Rows of the pool that was answered for; the summary counts items where there are any."""
        return summary.row_count if self._offsets is None else int(self._offsets[-1])

    def message(self) -> service_pb2.SelectRequest:
        """The whole request in one message."""
        blocks = [rows for _, rows in aligned(self._sources, UNARY_BYTES)] if self._sources else []
        tensors = []
        for i, source in enumerate(self._sources):
            parts = [block[i] for block in blocks]
            empty = np.empty((0, *source.row_shape), source.dtype)
            tensors.append(_tensor(source.name, np.concatenate(parts) if parts else empty))
        return service_pb2.SelectRequest(
            spec=self._spec,
            pool=tensors[: len(self._pool)],
            inputs=tensors[len(self._pool) :],
            references=[_tensor(name, array) for name, array in self._references.items()],
            row_count=self.row_count if self._has_row_count else None,
        )

    def messages(self) -> Iterator[Message]:
        """The request as a stream: a header, reference blocks, row blocks."""
        try:
            yield service_pb2.SelectStreamRequest(header=self._header())
            yield from self._reference_blocks()
            first_row = 0
            if self._sources:
                for count, rows in aligned(self._sources, BLOCK_BYTES):
                    contents = [
                        _pack(source.name, part)
                        for source, part in zip(self._sources, rows, strict=True)
                    ]
                    yield Block(first_row, count, contents)
                    first_row += count
        except Exception as error:
            # gRPC swallows it and cancels the call; the client raises it in its place.
            self.failure = error
            raise

    def selection(
        self,
        indices: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float64],
        all_scores: npt.NDArray[np.float64],
        summary: selection_pb2.SelectionSummary,
    ) -> Selection:
        """The answer in the caller's terms."""
        self._check_length("ids", self._ids, summary.row_count)
        self._check_length("exclude", self._mask, summary.row_count)
        count = len(indices)
        priority = 1.0 - np.arange(count) / max(count, 1)
        for array in (indices, scores, priority, all_scores):
            array.flags.writeable = False
        times = summary.timings
        models = list(summary.models) or [selection_pb2.ModelReference()]
        return Selection(
            indices=indices,
            scores=scores,
            ids=None if self._ids is None else _taken(self._ids, indices),
            priority=priority,
            all_scores=all_scores if self._spec.return_all_scores else None,
            seed=summary.seed,
            strategy=summary.strategy,
            model=", ".join(used.name for used in models),
            model_version=", ".join(used.version for used in models),
            row_count=summary.row_count,
            exhausted=summary.exhausted,
            spent_cost=summary.spent_cost if summary.HasField("spent_cost") else None,
            timings=Timings(
                *(
                    part.ToTimedelta().total_seconds()
                    for part in (
                        times.receive,
                        times.queue,
                        times.inference,
                        times.selection,
                        times.total,
                    )
                )
            ),
            request_id=summary.request_id,
        )

    def _check_length(self, field: str, values: Ids | None, count: int) -> None:
        if values is not None and count not in (UNKNOWN_ROWS, len(values)):
            noun = "rows" if self._offsets is None else "items"
            raise invalid(field, f"found {len(values)}; the pool has {count} {noun}")

    def _header(self) -> service_pb2.SelectStreamHeader:
        return service_pb2.SelectStreamHeader(
            spec=self._spec,
            pool=[self._declared(source) for source in self._pool],
            inputs=[self._declared(source) for source in self._inputs],
            streamed_references=[
                _spec(name, array.dtype, array.shape) for name, array in self._references.items()
            ],
            row_count=self.row_count if self._has_row_count else None,
        )

    def _declared(self, source: Source) -> tensor_pb2.TensorSpec:
        # All tensors declare the same rows: those of the one that knows, or that none does.
        return _spec(source.name, source.dtype, (self.row_count, *source.row_shape))

    def _reference_blocks(self) -> Iterator[service_pb2.SelectStreamRequest]:
        for name, array in self._references.items():
            first_row = 0
            if not len(array):
                continue
            source = source_of(name, array)
            for count, (rows,) in aligned([source], BLOCK_BYTES):
                block = service_pb2.ReferenceBlock(
                    name=name,
                    first_row=first_row,
                    row_count=count,
                    contents=wire.message_of(_pack(name, rows)),
                )
                yield service_pb2.SelectStreamRequest(reference_block=block)
                first_row += count


class Answer:
    """Collects the messages of a streamed answer."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._indices: list[npt.NDArray[np.int64]] = []
        self._scores: list[npt.NDArray[np.float64]] = []
        self._all_scores: list[npt.NDArray[np.float64]] = []
        self._summary: selection_pb2.SelectionSummary | None = None

    def add(self, message: service_pb2.SelectStreamResponse) -> Progress | None:
        """Takes one message; returns how far the call is when that is what it says."""
        kind = message.WhichOneof("message")
        if kind == "ranking":
            self._indices.append(np.array(message.ranking.indices, dtype=np.int64))
            self._scores.append(np.array(message.ranking.scores, dtype=np.float64))
        elif kind == "all_scores":
            self._all_scores.append(np.array(message.all_scores.scores, dtype=np.float64))
        elif kind == "summary":
            self._summary = message.summary
            rows = self._request.rows_of(message.summary)
            return Progress(rows, rows, rows)
        elif kind == "progress":
            total = self._request.row_count
            return Progress(
                message.progress.rows_received,
                message.progress.rows_scored,
                None if total == UNKNOWN_ROWS else total,
            )
        return None

    def add_unary(self, response: service_pb2.SelectResponse) -> Progress:
        """Takes a unary answer; returns that all is done."""
        self.add(service_pb2.SelectStreamResponse(ranking=response.ranking))
        self.add(service_pb2.SelectStreamResponse(all_scores=response.all_scores))
        self._summary = response.summary
        return Progress(*[self._request.rows_of(response.summary)] * 3)

    def selection(self) -> Selection:
        """The whole answer.

        Raises:
            ServerError: the stream ended without a summary.
        """
        if self._summary is None:
            raise ServerError("the server's answer ended without a summary")
        return self._request.selection(
            _joined(self._indices, np.int64),
            _joined(self._scores, np.float64),
            _joined(self._all_scores, np.float64),
            self._summary,
        )


def _joined(pieces: list[npt.NDArray[Any]], dtype: type) -> npt.NDArray[Any]:
    return np.concatenate(pieces) if pieces else np.empty(0, dtype)


def _numbers(name: str, rows: object) -> Source:
    """A source of floats: whole numbers, as in one-hot rows, become float64; groups stay."""
    source = source_of(name, rows)
    if source.dtype.kind not in "iub" or name == "groups":
        return source
    return Source(
        source.name,
        np.dtype(np.float64),
        source.row_shape,
        source.row_count,
        source.batches,
        source.repeatable,
    )


def _row_count(sources: Sequence[Source], pool_size: int | None) -> int:
    known = [(source.name, source.row_count) for source in sources]
    if pool_size is not None:
        known.append(("pool_size", _whole("pool_size", pool_size, 0, MAX_INT64)))
    known = [(name, count) for name, count in known if count != UNKNOWN_ROWS]
    if not known:
        if not sources:
            raise invalid(
                "pool", "missing; probabilities, inputs of a model or pool_size are right"
            )
        return UNKNOWN_ROWS
    first, expected = known[0]
    for name, count in known[1:]:
        if count != expected:
            raise invalid(name, f"found {count} rows; {first} has {expected}")
    return expected


def _constraints(
    max_per_group: MaxPerGroup | None, min_distance: float | None
) -> selection_pb2.Constraints | None:
    if max_per_group is None and min_distance is None:
        return None
    if isinstance(max_per_group, Mapping):
        quotas = {
            _whole("max_per_group", group, -MAX_INT64 - 1, MAX_INT64): _whole(
                f"max_per_group[{group}]", quota, 0, MAX_INT64
            )
            for group, quota in max_per_group.items()
        }
        return selection_pb2.Constraints(group_quotas=quotas, min_distance=min_distance)
    if max_per_group is not None:
        max_per_group = _whole("max_per_group", max_per_group, 0, MAX_INT64)
    return selection_pb2.Constraints(max_per_group=max_per_group, min_distance=min_distance)


def _budget(budget: object) -> selection_pb2.Budget:
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
        return selection_pb2.Budget(count=_whole("budget", budget, 1, MAX_INT64))
    fraction = float(budget)
    if fraction > 1 or fraction <= 0 or fraction != fraction:
        raise invalid(
            "budget",
            f"found {fraction:g}; a float is a fraction of the pool in (0, 1], "
            "an int a number of rows",
        )
    return selection_pb2.Budget(fraction=fraction)


def _whole(field: str, value: object, lowest: int, highest: int) -> int:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not lowest <= int(value) <= highest:  # type: ignore[call-overload]
        raise invalid(field, f"found {value!r}; a whole number from {lowest} to {highest} is right")
    return int(value)  # type: ignore[call-overload, no-any-return]


def _reference(name: str, values: object) -> npt.NDArray[Any]:
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
    return array.astype(fitting[0])


def _models(
    model: str | Sequence[str], version: Version | Sequence[Version]
) -> list[selection_pb2.ModelReference]:
    """One model, or several with a version each; an empty version is the highest."""
    names = [model] if isinstance(model, str) else list(model)
    several = isinstance(version, Sequence) and not isinstance(version, str)
    versions = list(version) if several else [version]  # type: ignore[arg-type]
    if versions == [""]:
        versions *= len(names)
    if len(versions) != len(names):
        raise invalid(
            "model_version", f"found {len(versions)}; one for each of {len(names)} models is right"
        )
    return [
        selection_pb2.ModelReference(name=name, version=str(each))
        for name, each in zip(names, versions, strict=True)
        if name
    ]


def _sampling(sampling: Sampling) -> selection_pb2.Sampling | None:
    if not sampling:
        return None
    if isinstance(sampling, str):
        return selection_pb2.Sampling(method=sampling)
    parameters = dict(sampling)
    method = parameters.pop("method", None)
    if not isinstance(method, str):
        raise invalid("sampling", 'a name or {"method": name, parameter: value} is right')
    return selection_pb2.Sampling(
        method=method, parameters=_struct(parameters, "sampling.parameters")
    )


def _struct(parameters: Mapping[str, Any], field: str) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    for name, value in parameters.items():
        plain = value.item() if isinstance(value, np.generic) else value
        try:
            struct[name] = plain
        except (ValueError, TypeError):
            raise invalid(
                f"{field}.{name}", f"found {value!r}; a number, bool or str is right"
            ) from None
    return struct


def _sequence(field: str, values: object) -> Ids:
    """Any collection as a list, a tuple or a one-dimensional array."""
    if isinstance(values, list | tuple):
        return values
    if not hasattr(values, "__array__") and isinstance(values, Iterable):
        return list(values)
    array = as_array(field, values)
    if array.ndim != 1:
        raise invalid(field, f"found {type(values).__name__}; a sequence is right")
    return array


def _is_mask(values: Ids | None) -> bool:
    if isinstance(values, np.ndarray):
        return bool(values.dtype == np.bool_)
    return bool(values) and all(isinstance(value, bool | np.bool_) for value in values or ())


def _excluded(given: Ids, ids: Ids | None) -> npt.NDArray[np.int64]:
    """Row numbers from row numbers, a mask, or the caller's own ids."""
    if ids is None or _is_mask(given):
        rows = as_array("exclude", given)
        if rows.dtype == np.bool_:
            return np.flatnonzero(rows)
        if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
            raise invalid("exclude", f"found {rows.dtype}; row numbers, or a mask, are right")
        return rows.astype(np.int64)
    row_of = {own: row for row, own in enumerate(_plain(ids))}
    if len(row_of) != len(ids):
        raise invalid("ids", "are not unique, so exclude cannot name them")
    found: dict[int, None] = {}
    for own in _plain(given):
        row = row_of.get(own)
        if row is None:
            raise invalid("exclude", f"found {own!r}, which is not among ids")
        if row in found:
            raise invalid("exclude", f"found {own!r} more than once")
        found[row] = None
    return np.fromiter(found, np.int64)


def _plain(values: Ids) -> list[Any]:
    if isinstance(values, np.ndarray):
        values = values.tolist()
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _taken(ids: Ids, rows: npt.NDArray[np.int64]) -> Any:  # noqa: ANN401
    if isinstance(ids, list | tuple):
        return [ids[row] for row in rows]
    return np.asarray(ids)[rows]


def _spec(name: str, dtype: np.dtype, shape: Sequence[int]) -> tensor_pb2.TensorSpec:
    try:
        return tensor_pb2.TensorSpec(name=name, data_type=wire.data_type_of(dtype), shape=shape)
    except TypeError as error:
        raise invalid(name, str(error)) from None


def _tensor(name: str, array: npt.NDArray[Any]) -> tensor_pb2.Tensor:
    contents = wire.message_of(_pack(name, array))
    return tensor_pb2.Tensor(spec=_spec(name, array.dtype, array.shape), contents=contents)


def _pack(name: str, array: npt.NDArray[Any]) -> wire.Contents:
    try:
        return wire.pack(array)
    except TypeError as error:
        raise invalid(name, str(error)) from None
