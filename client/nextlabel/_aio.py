"""The client for asyncio."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVar

import grpc
from tenacity import AsyncRetrying

from nextlabel import blocks
from nextlabel._access import How
from nextlabel._answer import Answer
from nextlabel._base import BaseClient
from nextlabel._channel import SELECT_STREAM, Options
from nextlabel._progress import ProgressCallback, reporting
from nextlabel._request import Request
from nextlabel._retry import Deadline, policy
from nextlabel.errors import from_rpc
from nextlabel.selection import Selection
from nextlabel.v1 import catalog_pb2, service_pb2, service_pb2_grpc

T = TypeVar("T")

UNSENT = "Internal error from Core"
"""What grpc.aio says of a call that ended while a message was being sent, whatever ended it."""


class AsyncClient(BaseClient[Awaitable[Selection]]):
    """Client for asyncio: the same, with each call to be awaited.

        async with AsyncClient("127.0.0.1:50051") as client:
            picked = await client.select(probabilities=probs, strategy="entropy", budget=50)

    To be made and used in one event loop. Args as for Client.
    """

    def _connect(
        self, target: str, options: Options, credentials: grpc.ChannelCredentials | None
    ) -> None:
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, options)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, options)
        self._stub = service_pb2_grpc.QuerySelectionServiceStub(self._channel)
        self._select_stream = self._channel.stream_stream(
            SELECT_STREAM, blocks.encode, service_pb2.SelectStreamResponse.FromString
        )

    async def strategies(self) -> list[catalog_pb2.StrategyInfo]:
        """Every strategy, with its inputs and parameters."""
        return list((await self._list_strategies()).strategies)

    async def samplings(self) -> list[catalog_pb2.SamplingInfo]:
        """Every sampling method, with its parameters."""
        return list((await self._list_strategies()).samplings)

    async def models(self) -> list[catalog_pb2.ModelInfo]:
        """Every served model, with its versions, inputs and outputs."""
        request = service_pb2.ListModelsRequest()
        answer = await self._call(lambda how: self._stub.ListModels(request, **how))
        return list(answer.models)

    async def info(self) -> service_pb2.GetServerInfoResponse:
        """The server's version and limits."""
        request = service_pb2.GetServerInfoRequest()
        return await self._call(lambda how: self._stub.GetServerInfo(request, **how))

    async def wait_ready(self, timeout: float = 30.0) -> None:
        """Waits until a server is ready to answer.

        Raises:
            UnavailableError: none was within `timeout` seconds.
        """
        with self._until_ready(timeout) as how:
            await self._stub.GetServerInfo(service_pb2.GetServerInfoRequest(), **how)

    async def close(self) -> None:
        """Closes the connections; calls at work fail."""
        self._closed.set()
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(
        self, request: Request, timeout: float, progress: bool | ProgressCallback
    ) -> Selection:
        with reporting(progress) as tell:
            return await self._call(
                lambda how: self._attempt(request, how, tell),
                timeout,
                repeatable=request.repeatable,
            )

    async def _call(
        self,
        attempt: Callable[[How], Awaitable[T]],
        timeout: float | None = None,
        *,
        repeatable: bool = True,
    ) -> T:
        """Runs `attempt`, told how to call, until it succeeds or gives up."""
        deadline = Deadline(self.timeout if timeout is None else timeout)

        async def once() -> T:
            with self._unless_closed():
                how: How = {"timeout": deadline.remaining, "metadata": self._metadata}
                try:
                    return await attempt(how)
                except grpc.RpcError as error:
                    raise from_rpc(error, self.address, repeatable=repeatable) from error

        return await AsyncRetrying(**policy(deadline, repeatable=repeatable))(once)

    def _is_end(self, error: BaseException) -> bool:
        if not isinstance(error, asyncio.CancelledError):
            return False
        task = asyncio.current_task()
        return task is not None and not task.cancelling()  # nobody has cancelled it

    async def _attempt(self, request: Request, how: How, tell: ProgressCallback) -> Selection:
        answer = Answer(request)
        if request.unary:
            done = answer.add_unary(await self._stub.Select(request.message(), **how))
            tell(done)
            return answer.selection()
        stream = self._select_stream(request.messages(), **how)
        ending = _Ending(stream)
        try:
            async for message in stream:
                if (progress := answer.add(message)) is not None:
                    tell(progress)
        except BaseException as error:
            real = request.failure or await ending.instead_of(error)
            stream.cancel()
            raise real from None
        return answer.selection()

    async def _list_strategies(self) -> service_pb2.ListStrategiesResponse:
        request = service_pb2.ListStrategiesRequest()
        return await self._call(lambda how: self._stub.ListStrategies(request, **how))


class _Ending:
    """The error that ended a call.

    grpc.aio overwrites it with UNSENT when a message is being sent at that moment. What is
    awaited here does not wait, because it is asked for when it has just become known.
    """

    def __init__(self, call: grpc.aio.Call) -> None:
        self._error: grpc.aio.AioRpcError | None = None
        call.add_done_callback(self._note)

    def _note(self, call: grpc.aio.Call) -> None:
        details = _result(call.details())
        if details != UNSENT:
            trailing = _result(call.trailing_metadata())
            self._error = grpc.aio.AioRpcError(
                _result(call.code()), grpc.aio.Metadata(), trailing, details
            )

    async def instead_of(self, error: BaseException) -> BaseException:
        """The real error where `error` is UNSENT; it may come a moment later."""
        if not isinstance(error, grpc.aio.AioRpcError) or error.details() != UNSENT:
            return error
        for _ in range(50):
            if self._error is not None:
                return self._error
            await asyncio.sleep(0.01)
        return error


def _result(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise RuntimeError("it waits")
