"""The five methods of QuerySelectionService."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from functools import partial

import grpc

from nextlabel.blocks import Block, Message
from nextlabel.v1 import service_pb2, service_pb2_grpc
from nextlabel_server.errors import InvalidRequest, OverLimit
from nextlabel_server.rpc import catalog, messages
from nextlabel_server.rpc.calls import Call, Calls
from nextlabel_server.rpc.plan import unary_header
from nextlabel_server.rpc.receiver import Patience, Receiver
from nextlabel_server.rpc.run import Run, Work
from nextlabel_server.rpc.sender import watched
from nextlabel_server.rpc.unread import Unread
from nextlabel_server.rpc.watchdog import Watchdog

UNARY_ANSWER_BYTES = 4 << 20  # every language's default limit for a received message
_REST_BYTES = 16 << 10  # of an answer, beside what is told of rows
WHOLE = slice(None)


class Servicer(service_pb2_grpc.QuerySelectionServiceServicer):
    """Answers calls; all that it keeps between them is shared machinery.

    Args:
        work: what selections share.
        info: what the server says of itself.
        reading: threads that read streams, one for each.
        patience: with senders.
        watchdog: for clients that do not read their answer.
        unread: answers that they have not read.
        calls: where each call is known.
    """

    def __init__(
        self,
        work: Work,
        info: service_pb2.GetServerInfoResponse,
        reading: Executor,
        patience: Patience,
        watchdog: Watchdog,
        unread: Unread,
        calls: Calls,
    ) -> None:
        self._work = work
        self._calls = calls
        self._info = info
        self._reading = reading
        self._patience = patience
        self._watchdog = watchdog
        self._unread = unread

    def Select(
        self, request: service_pb2.SelectRequest, context: grpc.ServicerContext
    ) -> service_pb2.SelectResponse:
        response = service_pb2.SelectResponse()
        with self._calls.begin("Select", context) as current:
            current.bytes = request.ByteSize()
            header, block = unary_header(request)
            run = Run(self._work, current, header, request_bytes=current.bytes)
            answer_bytes = _length_of_answer(run)
            self._unread.hold(context, answer_bytes)
            with run.admit():
                try:
                    if block.row_count > 0 and block.tensors:
                        run.add_rows(block)
                    for _ in run.finish():
                        pass  # a unary call tells of no progress
                finally:
                    run.abandon()
                answer = run.answer
                response.ranking.CopyFrom(messages.ranking(answer, WHOLE))
                if run.plan.query.return_all_scores:
                    response.all_scores.CopyFrom(messages.row_scores(answer.scores, WHOLE))
                if answer.nearest is not None:
                    nearest = messages.nearest_picks(answer.nearest.rows, WHOLE)
                    response.nearest_picks.CopyFrom(nearest)
                response.summary.CopyFrom(messages.summary(run.plan, answer.picks, current))
            self._unread.expect_reader(context, answer_bytes)
        return response

    def SelectStream(
        self,
        request_iterator: Iterator[Message],
        context: grpc.ServicerContext,
    ) -> Iterator[service_pb2.SelectStreamResponse]:
        with self._calls.begin("SelectStream", context) as current:
            receiver = Receiver(request_iterator, self._reading, current.cancel, self._patience)
            with closing(receiver):
                messages = self._stream(receiver, current)
                silence = self._patience.silence_seconds
                yield from watched(messages, context, self._watchdog, silence)

    def _stream(
        self, receiver: Receiver, current: Call
    ) -> Iterator[service_pb2.SelectStreamResponse]:
        first = receiver.first()
        if first is None or isinstance(first, Block) or not first.HasField("header"):
            raise InvalidRequest("header", "missing; the first message of a stream is a header")
        run = Run(self._work, current, first.header)
        with run.admit() as reservation:
            try:
                for _ in receiver.work(partial(run.receive, reservation)):
                    if (progress := run.progress()) is not None:
                        yield service_pb2.SelectStreamResponse(progress=progress)
                for progress in run.finish():
                    yield service_pb2.SelectStreamResponse(progress=progress)
            finally:
                receiver.close()
                run.abandon()
            yield from messages.stream(run.plan, run.answer, current)

    def ListStrategies(
        self,
        request: service_pb2.ListStrategiesRequest,  # noqa: ARG002 - it has no fields
        context: grpc.ServicerContext,
    ) -> service_pb2.ListStrategiesResponse:
        with self._calls.begin("ListStrategies", context):
            return catalog.list_strategies()

    def ListModels(
        self,
        request: service_pb2.ListModelsRequest,  # noqa: ARG002 - it has no fields
        context: grpc.ServicerContext,
    ) -> service_pb2.ListModelsResponse:
        with self._calls.begin("ListModels", context):
            return catalog.list_models(self._work.models)

    def GetServerInfo(
        self,
        request: service_pb2.GetServerInfoRequest,  # noqa: ARG002 - it has no fields
        context: grpc.ServicerContext,
    ) -> service_pb2.GetServerInfoResponse:
        with self._calls.begin("GetServerInfo", context):
            return self._info


def _length_of_answer(run: Run) -> int:
    """How many bytes a unary answer takes, or a few more.

    Raises:
        OverLimit: more than most clients could receive.
    """
    plan = run.plan
    rows = plan.row_count if plan.item_count is None else plan.item_count
    picked = min(rows, plan.query.budget.rows(rows))
    query = plan.query
    size = _REST_BYTES + picked * 12 + (rows * 8 if query.return_all_scores else 0)
    size += picked * 8 + rows * 4 if query.return_nearest_picks else 0
    if size > UNARY_ANSWER_BYTES:
        raise OverLimit(
            f"the answer takes {size} bytes, and a unary one at most {UNARY_ANSWER_BYTES}; "
            "use SelectStream"
        )
    return size
