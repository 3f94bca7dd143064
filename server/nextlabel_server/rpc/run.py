"""One selection in progress: the same for a unary call and for a stream."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from nextlabel import blocks
from nextlabel.blocks import Block, Message
from nextlabel.v1 import service_pb2
from nextlabel_server.errors import InvalidRequest, OverLimit
from nextlabel_server.inference import ModelRepository
from nextlabel_server.rpc.admission import Admission, Reservation
from nextlabel_server.rpc.calls import Call
from nextlabel_server.rpc.columns import Columns
from nextlabel_server.rpc.declared import RequestLimits
from nextlabel_server.rpc.gates import HERE, Gates
from nextlabel_server.rpc.pipeline import Pipeline
from nextlabel_server.rpc.plan import Planner, is_request_id
from nextlabel_server.rpc.selecting import TELL_SECONDS, Answer, Selecting
from nextlabel_server.rpc.turns import Turn
from nextlabel_server.selection import (
    ITEM_OFFSETS,
    Gatherer,
    Items,
    Scorer,
    Screener,
    Shortlist,
)
from nextlabel_server.selection.tensors import UNKNOWN_ROWS

WINDOW_BYTES = 2 << 20  # what gRPC receives ahead of a stream
STREAM_BYTES = 12 << 20  # what a stream holds at least: that, and blocks at work
ARRIVING = 3  # times a block is there when it arrives: in gRPC's pieces, joined, and as bytes
ITEM_BYTES = 32  # what an item takes beside its score while the scores of parts are reduced
LIGHT_BYTES = 1 << 20  # of a pool whose selection waits for no larger one
SMALL_WORK = 1 << 24  # multiplications beyond going through the pool: some 0.1 s
GROWTH = 1.5  # of the store of scores, when the sender does not know how many will come


@dataclass(frozen=True, slots=True)
class Work:
    """What all calls share.

    A small call, which scores its rows in at most `small_bytes` and with at most SMALL_WORK, goes
    through `small` and is computed in its own thread; all others go through `admission` and are
    computed behind gates.
    """

    models: ModelRepository
    planner: Planner
    admission: Admission
    small: Admission
    small_bytes: int
    gates: Gates
    limits: RequestLimits
    blocks_ahead: int


class Run:
    """Takes reference blocks, then row blocks, in order; then picks.

    Args:
        work: what all calls share.
        call: the call that this is for; what becomes known of it is noted there.
        header: declares everything; refused here if anything in it is wrong.
        request_bytes: the size of the whole request, when it has arrived; None for a stream.

    Attributes:
        answer: there once `finish` has come to its end.
    """

    answer: Answer

    def __init__(
        self,
        work: Work,
        call: Call,
        header: service_pb2.SelectStreamHeader,
        request_bytes: int | None = None,
    ) -> None:
        if is_request_id(header.spec.request_id):
            call.ids["request_id"] = header.spec.request_id
        call.strategy = header.spec.strategy[:60]
        call.models = [model.name for model in header.spec.models]
        self._work = work
        self._call = call
        self.plan = work.planner.plan(header)
        call.strategy = self.plan.query.strategy.name
        call.model = ", ".join(map(str, self.plan.models))
        self._incoming = [t for t in self.plan.streamed_references if t.shape[0]]
        self._incoming_rows = 0
        self._pipeline: Pipeline | None = None
        self._intake: Scorer | Screener | Gatherer | None = None
        self._store: Columns | Shortlist = Columns(self.plan.row_count)
        self._items: Items | None = None
        self._received = 0
        self._told = 0
        self._told_at = -np.inf
        self._largest_block = 0
        self._request_bytes = request_bytes
        self._needed_bytes = self.memory_bytes
        self._is_small = (
            request_bytes is not None
            and self.plan.query.strategy.kind == "row_wise"
            and not self.plan.models  # a model takes its time
            and self._needed_bytes <= work.small_bytes
            and self.plan.query.work(self.plan.sizes(self.plan.row_count, {})) <= SMALL_WORK
        )
        self._gates = HERE if self._is_small else work.gates
        if not self._incoming:
            self._begin()

    @property
    def memory_bytes(self) -> int:
        """What this run holds, for the rows that are declared, or else received so far."""
        rows = self.plan.row_count
        if rows == UNKNOWN_ROWS:
            rows = int(self._received * GROWTH)
        references = sum(
            tensor.dtype.itemsize * int(np.prod(tensor.shape, dtype=np.int64))
            for tensor in self.plan.streamed_references
        )
        parts = 0
        if self.plan.item_count is not None:
            parts = 8 * rows + ITEM_BYTES * self.plan.item_count
            rows = self.plan.item_count
        sizes = self.plan.sizes(rows, self._store.shapes)
        query = self.plan.query.memory_bytes(sizes, self.plan.excluded_count, self.plan.shortlist)
        classes = self._pipeline.classes if self._pipeline else 0
        # What the members say of a batch, one by one and together.
        members = 8 * self.plan.batch_rows * self.plan.members * max(sizes.C, classes)
        members *= self._work.blocks_ahead
        if self._request_bytes is None:
            in_flight = self._largest_block * (self._work.blocks_ahead + ARRIVING)
            in_flight = max(STREAM_BYTES, in_flight)
        else:
            in_flight = 2 * self._request_bytes  # as it arrived, and as a message
        return in_flight + members + references + parts + query

    def admit(self) -> AbstractContextManager[Reservation]:
        """Waits for a place and the memory; holds both inside the block."""
        lane = self._work.small if self._is_small else self._work.admission
        return lane.admit(self._needed_bytes, self._call)

    def receive(self, reservation: Reservation, requests: Iterator[Message]) -> None:
        """Takes the blocks of a stream to its end."""
        waiting_since = time.perf_counter()
        for request in requests:
            self._call.spent.add("receive", waiting_since)
            size = blocks.size(request)
            self._call.bytes += size
            grows = size > self._largest_block or self.plan.row_count == UNKNOWN_ROWS
            self._largest_block = max(self._largest_block, size)
            learns = self.plan.models and not self._rows_scored  # what the outputs' shapes are
            self._take(request)
            if grows or learns:
                reservation.grow_to(self.memory_bytes)
            del request  # before the next one comes
            waiting_since = time.perf_counter()
        self._call.spent.add("receive", waiting_since)

    def progress(self) -> service_pb2.Progress | None:
        """How far it is with receiving; None when nothing has come, or it was told just now."""
        now = time.perf_counter()
        if self._received == self._told or now - self._told_at < TELL_SECONDS:
            return None
        self._told, self._told_at = self._received, now
        return service_pb2.Progress(rows_received=self._received, rows_scored=self._rows_scored)

    @property
    def _rows_scored(self) -> int:
        return self._pipeline.rows_scored if self._pipeline else 0

    def add_rows(self, block: Block) -> None:
        """Takes the next rows of the pool.

        Raises:
            InvalidRequest: the block is out of order, or is not what the header declared.
        """
        if self._incoming:
            raise InvalidRequest(
                "reference_block",
                f"rows of the pool were sent before all of {self._incoming[0].name}",
            )
        count, total = block.row_count, self.plan.row_count
        if block.first_row != self._received:
            raise InvalidRequest(
                "row_block.first_row",
                f"found {block.first_row}; {self._received} rows were received so far",
            )
        if count < 1:
            raise InvalidRequest("row_block.row_count", f"found {count}; at least 1 is right")
        if total != UNKNOWN_ROWS and self._received + count > total:
            raise InvalidRequest(
                "row_block.row_count",
                f"found {count} rows after {self._received}; the header declares {total} in all",
            )
        if self._received + count > self._work.limits.max_rows:
            raise OverLimit(
                f"the pool has over {self._work.limits.max_rows} rows, which this server takes"
            )
        declared = (*self.plan.pool, *self.plan.inputs)
        if len(block.tensors) != len(declared):
            raise InvalidRequest(
                "row_block.tensors",
                f"found {len(block.tensors)} tensors; the header declares {len(declared)}",
            )
        if self._pipeline is not None:
            where = f"rows {self._received} to {self._received + count - 1}: "
            arrays = [
                tensor.unpack(contents, count, where)
                for tensor, contents in zip(declared, block.tensors, strict=True)
            ]
            pool = {t.name: array for t, array in zip(self.plan.pool, arrays, strict=False)}
            inputs = arrays[len(pool) :]
            self._pipeline.add(
                pool, {t.name: a for t, a in zip(self.plan.inputs, inputs, strict=True)}, count
            )
        self._received += count
        self._call.rows = self._received

    def finish(self) -> Iterator[service_pb2.Progress]:
        """Makes the answer, and says now and then how far it is.

        Raises:
            InvalidRequest: rows are missing.
        """
        if self._incoming:
            raise InvalidRequest(
                "reference_block", f"the stream ended before all of {self._incoming[0].name}"
            )
        total = self.plan.row_count
        has_blocks = bool(self.plan.pool or self.plan.inputs)
        if has_blocks and total not in (UNKNOWN_ROWS, self._received):
            raise InvalidRequest(
                "row_block", f"the stream ended after {self._received} of {total} rows"
            )
        self._call.rows = self._received if has_blocks else total
        if self._items is not None:
            self._items.check_parts(self._call.rows)
        pipeline = cast("Pipeline", self._pipeline)  # there, as all references are
        pipeline.finish()
        sizes = self.plan.sizes(self._call.rows, self._store.shapes)
        picking_work = self.plan.query.picking_work(sizes)
        light = self._call.bytes <= LIGHT_BYTES and picking_work <= SMALL_WORK
        selecting = Selecting(
            self.plan,
            self._call,
            self._intake,
            self._items,
            short=partial(pipeline.start, gate=self._gates.short),
            long=partial(pipeline.start, gate=self._gates.light if light else self._gates.long),
        )
        count = self._call.rows if self._items is None else len(self._items)
        for made, wanted in selecting.run(self._store, count):
            yield service_pb2.Progress(
                rows_received=self._received,
                rows_scored=self._received,
                picks_made=made,
                picks_wanted=wanted,
            )
        self.answer = selecting.answer
        self._call.picked = len(self.answer.picks.rows)

    def abandon(self) -> None:
        """Drops work that has not started, and waits for what holds the pool."""
        if self._pipeline is not None:
            self._pipeline.abandon()

    def _take(self, request: Message) -> None:
        if isinstance(request, Block):
            self.add_rows(request)
            return
        kind = request.WhichOneof("message")
        if kind == "row_block":
            block = request.row_block
            self.add_rows(Block(block.first_row, block.row_count, block.tensors))
        elif kind == "reference_block":
            self._add_reference_rows(request.reference_block)
        elif kind == "header":
            raise InvalidRequest("header", "sent a second time; one is right, at the start")
        else:
            raise InvalidRequest("message", "empty; a row block is right")

    def _add_reference_rows(self, block: service_pb2.ReferenceBlock) -> None:
        if not self._incoming or block.name != self._incoming[0].name:
            wanted = self._incoming[0].name if self._incoming else "none, for all have arrived,"
            raise InvalidRequest(
                "reference_block.name", f"found {block.name[:60]!r}; {wanted} is right"
            )
        tensor = self._incoming[0]
        rows = self._incoming_rows
        if block.first_row != rows or not 1 <= block.row_count <= tensor.shape[0] - rows:
            raise InvalidRequest(
                "reference_block",
                f"found rows {block.first_row} to {block.first_row + block.row_count - 1} of "
                f"{tensor.name}; it has {tensor.shape[0]} and {rows} were received so far",
            )
        target = self.plan.references.setdefault(tensor.name, np.empty(tensor.shape, tensor.dtype))
        target[rows : rows + block.row_count] = tensor.unpack(block.contents, block.row_count)
        self._incoming_rows += block.row_count
        if self._incoming_rows == tensor.shape[0]:
            self._next_reference()

    def _next_reference(self) -> None:
        del self._incoming[0]
        self._incoming_rows = 0
        if not self._incoming:
            self._begin()

    def _begin(self) -> None:
        """Makes ready for rows: all references are here."""
        references = self.plan.accept_references()
        self._items = references.pop(ITEM_OFFSETS.name, None)
        if self._items is not None and self.plan.row_count != UNKNOWN_ROWS:
            self._items.check_parts(self.plan.row_count)
        turn = Turn(self._gates.turns, self._call.cancel, self._call.spent)
        self._intake = self.plan.intake(references, turn.pause)
        if isinstance(self._intake, Screener):
            self._store = self._intake.shortlist
        self._pipeline = Pipeline(
            self.plan,
            self._intake,
            self._store,
            self._gates,
            turn,
            ahead=self._work.blocks_ahead,
            cancel=self._call.cancel,
            spent=self._call.spent,
        )
