"""From bytes to messages, for every method of every service.

Bytes that do not parse are refused as INVALID_ARGUMENT, where gRPC alone says INTERNAL; a parser
may refuse others. Row blocks are read by one that leaves their rows where they lie. A single
request is awaited for a limited time, where gRPC alone would wait for ever.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from nextlabel_server.errors import Cancelled, InvalidRequest, SelectionError
from nextlabel_server.rpc.calls import Calls
from nextlabel_server.rpc.fields import counted
from nextlabel_server.rpc.status import status_of
from nextlabel_server.rpc.watchdog import Watchdog

if TYPE_CHECKING:  # a generic class in the stubs alone
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]

SINGLE_REQUEST_SECONDS = 5.0
METHODS = 64  # more than there are


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands in for a message that could not be taken."""

    error: SelectionError


class ParsingInterceptor(grpc.ServerInterceptor):
    """Parses what the methods of the server receive.

    Args:
        parsers: by method, for those that have another one than the generated classes.
        watchdog: ends calls whose single request does not come.
        seconds: how long it may take, by method; SINGLE_REQUEST_SECONDS for others.
        calls: where a call is known that ends before it reaches its method.
    """

    def __init__(
        self,
        parsers: Mapping[str, Callable[[bytes], Any]],
        watchdog: Watchdog,
        seconds: Mapping[str, float],
        calls: Calls,
    ) -> None:
        self._parsers = parsers
        self._watchdog = watchdog
        self._seconds = seconds
        self._calls = calls
        self._parsed = lru_cache(METHODS)(self._parsing)

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        handler = continuation(handler_call_details)
        return None if handler is None else self._parsed(handler, handler_call_details.method)

    def _parsing(self, handler: "Handler", path: str) -> "Handler":
        """The handler with a parser that does not fail, and a limit to what it waits for."""
        if handler.request_deserializer is None:
            return handler
        parse = _safe(self._parsers.get(path) or counted(handler.request_deserializer))
        answer = "stream" if handler.response_streaming else "unary"
        kind = f"{'stream' if handler.request_streaming else 'unary'}_{answer}"
        behavior = getattr(handler, kind)
        if handler.request_streaming:
            behavior = _guard_stream(behavior)
        else:
            behavior = self._guard_single(behavior, path)
        # A single request is a stream of one on the wire, and a stream is read when we say so.
        made: Handler = getattr(grpc, f"stream_{answer}_rpc_method_handler")(
            behavior, parse, handler.response_serializer
        )
        return made

    def _guard_single(self, behavior: Callable[..., Any], path: str) -> Callable[..., Any]:
        service, _, method = path.strip("/").partition("/")
        seconds = self._seconds.get(path, SINGLE_REQUEST_SECONDS)

        @wraps(behavior)
        def guarded(requests: Iterator[Any], context: grpc.ServicerContext, *more: Any) -> Any:  # noqa: ANN401
            request = None
            # What gRPC raises or does not where a call has ended is a matter of luck.
            with self._watchdog.limit(seconds, context.cancel) as limit, suppress(Exception):
                request = next(requests, None)
            if request is None:  # gRPC may say for a while yet that a call which was ended goes on
                gone = limit.passed or not context.is_active()
                request = _Refused(Cancelled() if gone else _malformed())
            if isinstance(request, _Refused):
                with self._calls.begin(method, context, service=service):
                    raise request.error
            return behavior(request, context, *more)

        return guarded


def _safe(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def attempt(data: bytes) -> Any:  # noqa: ANN401 - whatever message the method takes
        try:
            return parse(data)
        except SelectionError as error:
            return _Refused(error)
        except Exception:
            return _Refused(_malformed())

    return attempt


def _malformed() -> InvalidRequest:
    return InvalidRequest("request", "these bytes are not a message of this method")


def _guard_stream(behavior: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(behavior)
    def guarded(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        try:
            result = behavior(_checked(requests), context)
            if hasattr(result, "__next__"):
                result = _relay(result, context)
        except SelectionError as error:
            context.abort_with_status(status_of(error, ""))
        return result

    return guarded


def _relay(responses: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
    try:
        yield from responses
    except SelectionError as error:
        context.abort_with_status(status_of(error, ""))


def _checked(requests: Iterator[Any]) -> Iterator[Any]:
    for request in requests:
        if isinstance(request, _Refused):
            raise request.error
        yield request
        del request  # before the next one comes
