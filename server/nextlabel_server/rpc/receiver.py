"""Reading a request stream ahead of the work, with an eye on senders that stop sending."""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Generic, TypeVar

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, SelectionError, Stalled

Message = TypeVar("Message")


class Receiver(Generic[Message]):
    """Iterates over a stream that another thread reads, at most `ahead` messages ahead.

    gRPC's own iterator waits without a limit, so that a stalled sender would hold its thread
    for ever; here the waiting side gives up.

    Args:
        messages: the stream, read in `executor` until it ends or this is closed.
        executor: where to read.
        cancel: ends the iteration with Cancelled.
        stall_seconds: the longest wait for one message.
        ahead: how many messages may lie here unused.
    """

    def __init__(
        self,
        messages: Iterator[Message],
        executor: Executor,
        cancel: CancelToken,
        *,
        stall_seconds: float,
        ahead: int = 2,
    ) -> None:
        self._messages = messages
        self._cancel = cancel
        self._stall_seconds = stall_seconds
        self._ahead = ahead
        self._condition = threading.Condition()
        self._ready: deque[Message] = deque()
        self._ended = False
        self._closed = False
        self._error: SelectionError | None = None
        executor.submit(self._read)

    def __iter__(self) -> Iterator[Message]:
        with self._cancel.on_cancel(self._wake):
            while (message := self._next()) is not None:
                yield message

    def close(self) -> None:
        """Lets the reading thread go; what it still reads is dropped."""
        with self._condition:
            self._closed = True
            self._ready.clear()
            self._condition.notify_all()

    def _next(self) -> Message | None:
        with self._condition:
            arrived = self._condition.wait_for(
                lambda: self._ready or self._ended or self._cancel.cancelled, self._stall_seconds
            )
            self._cancel.check()
            if self._ready:
                message = self._ready.popleft()
                self._condition.notify_all()
                return message
            if not arrived:
                raise Stalled(f"nothing was sent for {self._stall_seconds:g} s")
            if self._error is not None:
                raise self._error
            return None

    def _read(self) -> None:
        try:
            for message in self._messages:
                with self._condition:
                    self._condition.wait_for(lambda: len(self._ready) < self._ahead or self._closed)
                    if self._closed:
                        return
                    self._ready.append(message)
                    self._condition.notify_all()
        except SelectionError as error:
            self._error = error
        except Exception:
            self._error = Cancelled()
        finally:
            with self._condition:
                self._ended = True
                self._condition.notify_all()

    def _wake(self) -> None:
        with self._condition:
            self._condition.notify_all()
