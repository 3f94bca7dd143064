"""The standard health service, in threads of its own, so that it answers under full load.

grpc_health's servicer keeps its threads on the class, so that servers in one process share
them, and never ends a watch: a server that stops would wait for each client that watches it.

Sending waits for a client that does not read, so it is done under no lock that others need,
for a limited time, and in threads that no check waits for.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from nextlabel_server.errors import OverLimit
from nextlabel_server.rpc.watchdog import Watchdog

MESSAGE_BYTES = 4 << 10
REQUEST_SECONDS = 1.0  # for the only message of a call, which comes with its headers
SEND_SECONDS = 5.0  # for a watcher to take a message
Send = Callable[[HealthCheckResponse | None], None]


def parse(data: bytes) -> HealthCheckRequest:
    """The message, which is short: anyone may ask, and names are.

    Raises:
        OverLimit: it is not.
    """
    if len(data) > MESSAGE_BYTES:
        raise OverLimit(f"a health check takes at most {MESSAGE_BYTES} bytes")
    return HealthCheckRequest.FromString(data)


@dataclass(slots=True, eq=False)
class _Watcher:
    """A client that watches, and what it is still to be told: statuses, and None for the end."""

    send: Send
    cancel: Callable[[], object]
    known: bool
    news: deque[HealthCheckResponse | None] = field(default_factory=deque)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, watchdog: Watchdog) -> None:
        """Sends the news in their order; another thread that is at it goes on with these."""
        while self.news and self.turn.acquire(blocking=False):
            try:
                if self.news:
                    with watchdog.limit(SEND_SECONDS, self.cancel):
                        self.send(self.news.popleft())
            finally:
                self.turn.release()


class Health:
    """One status for all services; NOT_SERVING until it is set.

    Args:
        services: names that are known; an empty one stands for the whole server.
        checking: threads where checks run.
        watching: threads where watchers are told.
        watchdog: ends the calls of watchers who do not read.
    """

    def __init__(
        self,
        services: Sequence[str],
        checking: ThreadPoolExecutor,
        watching: ThreadPoolExecutor,
        watchdog: Watchdog,
    ) -> None:
        self._services = services
        self._watching = watching
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._serving = False
        self._ended = False
        self._watchers: set[_Watcher] = set()
        self.Check = _in_threads(checking, self._check)
        self.Watch = _in_threads(watching, self._watch, experimental_non_blocking=True)

    def set(self, *, serving: bool) -> None:
        """Says so to everyone who asks from now on, and to everyone who watches if it is new."""
        with self._lock:
            changed = serving != self._serving
            self._serving = serving
            for watcher in list(self._watchers):
                if changed and watcher.known:
                    self._tell(watcher, self._answer(known=True))

    def end_watches(self) -> None:
        """Ends the calls of everyone who watches, and from now on of everyone who begins to.

        It waits for none of them.
        """
        with self._lock:
            self._ended = True
            for watcher in list(self._watchers):
                self._tell(watcher, None)

    def _check(
        self, request: HealthCheckRequest, context: grpc.ServicerContext
    ) -> HealthCheckResponse:
        if request.service not in self._services:
            context.abort(grpc.StatusCode.NOT_FOUND, "no service of that name")
        return self._answer(known=True)

    def _watch(
        self, request: HealthCheckRequest, context: grpc.ServicerContext, send: Send
    ) -> None:
        watcher = _Watcher(send, context.cancel, request.service in self._services)

        # It takes no lock: gRPC's thread calls it.
        def forget() -> None:
            self._watchers.discard(watcher)

        with self._lock:
            watcher.news.append(self._answer(known=watcher.known))
            if self._ended:
                watcher.news.append(None)
            else:
                self._watchers.add(watcher)
        if not context.add_callback(forget):
            forget()
        watcher.tell(self._watchdog)

    def _tell(self, watcher: _Watcher, news: HealthCheckResponse | None) -> None:
        watcher.news.append(news)
        self._watching.submit(watcher.tell, self._watchdog)

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
