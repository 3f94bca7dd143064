"""Refusing calls at once when every thread that could answer has one already."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

import grpc

from nextlabel_server.errors import Busy
from nextlabel_server.rpc.admission import RETRY_AFTER_SECONDS
from nextlabel_server.rpc.calls import Calls

if TYPE_CHECKING:  # a generic class in the stubs alone
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class CallThreads(ThreadPoolExecutor):
    """Threads for calls, which know when each of them has one."""

    def __init__(self, threads: int, name: str = "call") -> None:
        super().__init__(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._free = threads

    @property
    def all_busy(self) -> bool:
        return self._free <= 0

    def submit(
        self,
        work: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        self._count(-1)
        future = super().submit(work, *args, **kwargs)
        future.add_done_callback(lambda _: self._count(1))
        return future

    def _count(self, change: int) -> None:
        with self._lock:
            self._free += change


class Door(grpc.ServerInterceptor):
    """Refuses calls that would have to wait for a thread: nothing bounds how many could.

    Methods with threads of their own wait for these, and pass always where those do not know
    whether they are busy: health checks.
    """

    def __init__(self, threads: CallThreads, calls: Calls) -> None:
        self._threads = threads
        self._calls = calls
        self._refusing = ThreadPoolExecutor(1, thread_name_prefix="door")

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        handler = continuation(handler_call_details)
        if handler is None or not self._all_busy(handler):
            return handler
        service, _, method = handler_call_details.method.strip("/").partition("/")

        def refuse(_requests: object, context: grpc.ServicerContext) -> None:
            with self._calls.begin(method, context, service=service):
                raise Busy(
                    "every thread has a call already; try again later",
                    retry_after=RETRY_AFTER_SECONDS,
                )

        vars(refuse).update(experimental_thread_pool=self._refusing)
        # As a stream, so that no request is waited for.
        refusal: Handler = grpc.stream_unary_rpc_method_handler(refuse)
        return refusal

    def _all_busy(self, handler: "Handler") -> bool:
        threads = _own_threads(handler) or self._threads
        return isinstance(threads, CallThreads) and threads.all_busy

    def close(self) -> None:
        self._refusing.shutdown(cancel_futures=True)


def _own_threads(handler: "Handler") -> ThreadPoolExecutor | None:
    kinds = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
    own = (getattr(getattr(handler, kind), "experimental_thread_pool", None) for kind in kinds)
    return next((threads for threads in own if threads is not None), None)
