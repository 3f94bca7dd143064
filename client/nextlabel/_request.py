"""A selection as messages: from arguments to what is sent, from what comes back to a Selection.

All that Client and AsyncClient have in common; neither waits for anything in here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel import wire
from nextlabel._arguments import (
    MAX_INT64,
    Budget,
    Ids,
    MaxPerGroup,
    Prefilter,
    Sampling,
    Version,
    budget_of,
    constraints_of,
    excluded_rows,
    is_mask,
    mapping,
    models_of,
    prefilter_of,
    reference_of,
    sampling_of,
    sequence_of,
    struct_of,
    taken,
    text,
    truth,
    whole,
)
from nextlabel._sources import UNKNOWN_ROWS, Source, aligned, source_of
from nextlabel.blocks import Block, Message
from nextlabel.errors import invalid
from nextlabel.selection import Selection, Timings
from nextlabel.v1 import selection_pb2, service_pb2, tensor_pb2

BLOCK_BYTES = 1 << 20
UNARY_BYTES = 1 << 20
"""A pool of at most this size travels in one message; a larger one is streamed."""


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
        passes: int = 1,
        inputs: Mapping[str, object] | None = None,
        pool_size: int | None = None,
        ids: Sequence[Any] | npt.NDArray[Any] | None = None,
        exclude: object = None,
        references: Mapping[str, object],
        max_per_group: MaxPerGroup | None = None,
        min_distance: float | None = None,
        prefilter: Prefilter | None = None,
        parameters: Mapping[str, Any] | None = None,
        sampling: Sampling = "",
        seed: int | None = None,
        return_all_scores: bool = False,
        return_nearest_picks: bool = False,
        request_id: str = "",
    ) -> None:
        self._pool = [_numbers(name, rows) for name, rows in pool.items() if rows is not None]
        self._inputs = [source_of(name, rows) for name, rows in mapping("inputs", inputs).items()]
        self.row_count = _row_count(self._sources, pool_size)
        self._has_row_count = pool_size is not None
        self._ids = None if ids is None else sequence_of("ids", ids)
        excluded = None if exclude is None else sequence_of("exclude", exclude)
        self._references = {
            name: reference_of(name, values)
            for name, values in references.items()
            if values is not None
        }
        self._offsets = self._references.get("item_offsets")
        candidates = self.row_count if self._offsets is None else len(self._offsets) - 1
        self._check_length("ids", self._ids, candidates)
        self._mask = excluded if is_mask(excluded) else None
        self._check_length("exclude", self._mask, candidates)
        if excluded is not None:
            self._references["excluded"] = excluded_rows(excluded, self._ids)
        self._spec = selection_pb2.SelectionSpec(
            strategy=text("strategy", strategy),
            parameters=struct_of(parameters, "parameters"),
            budget=budget_of(budget),
            sampling=sampling_of(sampling),
            seed=None if seed is None else whole("seed", seed, 0, 2**64 - 1),
            models=models_of(model, model_version, passes),
            return_all_scores=truth("return_all_scores", return_all_scores),
            return_nearest_picks=truth("return_nearest_picks", return_nearest_picks),
            request_id=text("request_id", request_id),
            constraints=constraints_of(max_per_group, min_distance),
            prefilter=prefilter_of(prefilter),
        )
        self.failure: BaseException | None = None
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
        messages = self._messages()
        while True:
            try:
                message = next(messages, None)
            except BaseException as error:
                # gRPC swallows an Exception and cancels the call; the client raises this in its
                # place. Anything else, such as SystemExit, would end gRPC's thread and leave the
                # call open.
                self.failure = error
                raise RuntimeError("the pool cannot be read") from error
            if message is None:
                return
            yield message

    def _messages(self) -> Iterator[Message]:
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

    def selection(
        self,
        indices: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float64],
        summary: selection_pb2.SelectionSummary,
        *,
        all_scores: npt.NDArray[np.float64],
        shares: npt.NDArray[np.float64],
        nearest: npt.NDArray[np.int64],
    ) -> Selection:
        """The answer in the caller's terms."""
        self._check_length("ids", self._ids, summary.row_count)
        self._check_length("exclude", self._mask, summary.row_count)
        count = len(indices)
        priority = 1.0 - np.arange(count) / max(count, 1)
        for array in (indices, scores, priority, all_scores, shares, nearest):
            array.flags.writeable = False
        times = summary.timings
        models = list(summary.models) or [selection_pb2.ModelReference()]
        return Selection(
            indices=indices,
            scores=scores,
            ids=None if self._ids is None else taken(self._ids, indices),
            priority=priority,
            all_scores=all_scores if self._spec.return_all_scores else None,
            shares=shares if self._spec.return_nearest_picks else None,
            nearest=nearest if self._spec.return_nearest_picks else None,
            seed=summary.seed,
            strategy=summary.strategy,
            model=", ".join(used.name for used in models),
            model_version=", ".join(used.version for used in models),
            row_count=summary.row_count,
            exhausted=summary.exhausted,
            spent_cost=summary.spent_cost if summary.HasField("spent_cost") else None,
            timings=Timings(
                *(
                    part.seconds + part.nanos / 1e9
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
        known.append(("pool_size", whole("pool_size", pool_size, 0, MAX_INT64)))
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
