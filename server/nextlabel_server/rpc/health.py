"""The standard health service, in threads of its own, so that it answers under full load.

grpc_health's servicer keeps its threads on the class, so that servers in one process share
them, and never ends a watch: a server that stops would wait for each client that watches it.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from nextlabel_server.errors import OverLimit

MESSAGE_BYTES = 4 << 10
REQUEST_SECONDS = 1.0  # for the only message of a call, which comes with its headers
Send = Callable[[HealthCheckResponse | None], None]


def parse(data: bytes) -> HealthCheckRequest:
    """The message, which is short: anyone may ask, and names are.

    Raises:
        OverLimit: it is not.
    """
    if len(data) > MESSAGE_BYTES:
        raise OverLimit(f"a health check takes at most {MESSAGE_BYTES} bytes")
    return HealthCheckRequest.FromString(data)


class Health:
    """One status for all services; NOT_SERVING until it is set.

    Args:
        services: names that are known; an empty one stands for the whole server.
        threads: where checks run.
    """

    def __init__(self, services: Sequence[str], threads: ThreadPoolExecutor) -> None:
        self._services = services
        self._sending = threading.Lock()  # one message at a time
        self._serving = False
        self._ended = False
        self._watchers: dict[Send, bool] = {}  # whether the service is known
        self.Check = _in_threads(threads, self._check)
        self.Watch = _in_threads(threads, self._watch, experimental_non_blocking=True)

    def set(self, *, serving: bool) -> None:
        """Says so to everyone who asks from now on, and to everyone who watches."""
        with self._sending:
            self._serving = serving
            for send, known in list(self._watchers.items()):
                send(self._answer(known=known))

    def end_watches(self) -> None:
        """Ends the calls of everyone who watches, and from now on of everyone who begins to."""
        with self._sending:
            self._ended = True
            for send in list(self._watchers):
                send(None)

    def _check(
        self, request: HealthCheckRequest, context: grpc.ServicerContext
    ) -> HealthCheckResponse:
        if request.service not in self._services:
            context.abort(grpc.StatusCode.NOT_FOUND, "no service of that name")
        return self._answer(known=True)

    def _watch(
        self, request: HealthCheckRequest, context: grpc.ServicerContext, send: Send
    ) -> None:
        # It takes no lock: sending waits for gRPC's thread, which may be in this callback.
        def forget() -> None:
            self._watchers.pop(send, None)

        known = request.service in self._services
        with self._sending:
            send(self._answer(known=known))
            if self._ended:
                send(None)
                return
            self._watchers[send] = known
        if not context.add_callback(forget):
            forget()

    def _answer(self, *, known: bool) -> HealthCheckResponse:
        if not known:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        if self._serving:
            return HealthCheckResponse(status=HealthCheckResponse.SERVING)
        return HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)


def _in_threads(
    threads: ThreadPoolExecutor, method: Callable[..., Any], **attributes: object
) -> Callable[..., Any]:
    """The method with what tells gRPC where and how to run it."""

    def behavior(*args: object) -> Any:  # noqa: ANN401 - what the method returns
        return method(*args)

    vars(behavior).update(attributes, experimental_thread_pool=threads)
    return behavior
