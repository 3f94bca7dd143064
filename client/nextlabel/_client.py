"""The client."""

from collections.abc import Callable
from typing import Self, TypeVar

import grpc
from tenacity import Retrying

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


class Client(BaseClient[Selection]):
    """Asks a server which rows to label next.

        with Client("127.0.0.1:50051") as client:
            picked = client.select(probabilities=probs, strategy="entropy", budget=50)
            picked.indices, picked.scores

    May be shared between threads. Calls are tried again, on another server where there is one,
    when a server is out of reach, shuts down or has no room.

    Args:
        address: `HOST:PORT`; several IP addresses with commas; or a gRPC target such as
            `dns:///HOST:PORT`, which is balanced over all the addresses of the name.
        timeout: seconds that a call may take, all attempts together.
        tls: a TLS, or True for one without files; False for plaintext. None, the default, is what
            the environment says (NEXTLABEL_CLIENT_TLS and so on), or else plaintext.
        token: what the server knows the caller by; by default NEXTLABEL_CLIENT_TOKEN. Without
            TLS it goes nowhere but to this machine, unless `plaintext_token` is set.
        plaintext_token: sends the token without TLS, where something else encrypts what travels.

    Raises:
        InvalidRequestError: the address or a file cannot be used, or a token would travel in
            plaintext.
    """

    def _connect(
        self, target: str, options: Options, credentials: grpc.ChannelCredentials | None
    ) -> None:
        if credentials is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            self._channel = grpc.secure_channel(target, credentials, options)
        self._stub = service_pb2_grpc.QuerySelectionServiceStub(self._channel)
        self._select_stream = self._channel.stream_stream(
            SELECT_STREAM, blocks.encode, service_pb2.SelectStreamResponse.FromString
        )

    def strategies(self) -> list[catalog_pb2.StrategyInfo]:
        """Every strategy, with its inputs and parameters."""
        return list(self._list_strategies().strategies)

    def samplings(self) -> list[catalog_pb2.SamplingInfo]:
        """Every sampling method, with its parameters."""
        return list(self._list_strategies().samplings)

    def models(self) -> list[catalog_pb2.ModelInfo]:
        """Every served model, with its versions, inputs and outputs."""
        request = service_pb2.ListModelsRequest()
        return list(self._call(lambda how: self._stub.ListModels(request, **how)).models)

    def info(self) -> service_pb2.GetServerInfoResponse:
        """The server's version and limits."""
        request = service_pb2.GetServerInfoRequest()
        return self._call(lambda how: self._stub.GetServerInfo(request, **how))

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Waits until a server is ready to answer.

        Raises:
            UnavailableError: none was within `timeout` seconds.
        """
        with self._until_ready(timeout) as how:
            self._stub.GetServerInfo(service_pb2.GetServerInfoRequest(), **how)

    def close(self) -> None:
        """Closes the connections; calls at work fail."""
        self._closed.set()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(
        self, request: Request, timeout: float, progress: bool | ProgressCallback
    ) -> Selection:
        with reporting(progress) as tell:
            return self._call(
                lambda how: self._attempt(request, how, tell),
                timeout,
                repeatable=request.repeatable,
            )

    def _call(
        self,
        attempt: Callable[[How], T],
        timeout: float | None = None,
        *,
        repeatable: bool = True,
    ) -> T:
        """Runs `attempt`, told how to call, until it succeeds or gives up."""
        deadline = Deadline(self.timeout if timeout is None else timeout)

        def once() -> T:
            with self._unless_closed():
                try:
                    return attempt({"timeout": deadline.remaining, "metadata": self._metadata})
                except grpc.RpcError as error:
                    raise from_rpc(error, self.address, repeatable=repeatable) from error

        return Retrying(**policy(deadline, repeatable=repeatable))(once)

    def _is_end(self, error: BaseException) -> bool:
        return isinstance(error, ValueError) and str(error).startswith("Cannot invoke RPC")

    def _attempt(self, request: Request, how: How, tell: ProgressCallback) -> Selection:
        answer = Answer(request)
        if request.unary:
            done = answer.add_unary(self._stub.Select(request.message(), **how))
            tell(done)
            return answer.selection()
        stream = self._select_stream(request.messages(), **how)
        try:
            for message in stream:
                if (progress := answer.add(message)) is not None:
                    tell(progress)
        except BaseException:
            stream.cancel()
            if request.failure is not None:
                raise request.failure from None
            raise
        return answer.selection()

    def _list_strategies(self) -> service_pb2.ListStrategiesResponse:
        request = service_pb2.ListStrategiesRequest()
        return self._call(lambda how: self._stub.ListStrategies(request, **how))
