"""Large unary answers, until their clients have taken them: bounded in bytes and in time.

gRPC keeps an answer for as long as a client does not read it, and tells nobody.
"""

import threading
from collections.abc import Callable
from functools import partial

import grpc

from nextlabel_server.errors import Busy
from nextlabel_server.rpc.admission import RETRY_AFTER_SECONDS
from nextlabel_server.rpc.watchdog import Watchdog

LARGE_BYTES = 1 << 18


class Unread:
    """The answers that wait for their clients.

    Args:
        most_bytes: what they may take together; no call with a large one begins beyond.
        seconds: how long a client has for one, before its call is ended.
        watchdog: ends it.
    """

    def __init__(self, most_bytes: int, seconds: float, watchdog: Watchdog) -> None:
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._held = 0

    def hold(self, context: grpc.ServicerContext, answer_bytes: int) -> None:
        """Counts the answer of a call that begins, if it is large, until the call is over.

        Raises:
            Busy: there is no room for it.
        """
        if answer_bytes < LARGE_BYTES:
            return
        with self._lock:
            if self._held + answer_bytes > self._most_bytes:
                raise Busy(
                    "large answers wait for clients to read them; try again later",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            self._held += answer_bytes
        _when_over(context, partial(self._release, answer_bytes))

    def expect_reader(self, context: grpc.ServicerContext, answer_bytes: int) -> None:
        """Ends a call whose answer is large and is not read in time."""
        if answer_bytes >= LARGE_BYTES:
            limit = self._watchdog.begin(self._seconds, context.cancel)
            _when_over(context, partial(self._watchdog.finish, limit))

    def _release(self, answer_bytes: int) -> None:
        with self._lock:
            self._held -= answer_bytes


def _when_over(context: grpc.ServicerContext, act: Callable[[], None]) -> None:
    if not context.add_callback(act):
        act()
