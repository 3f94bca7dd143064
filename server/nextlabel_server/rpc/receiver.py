"""Reading a request stream ahead of the work, with an eye on senders that are slow or stop."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from nextlabel import blocks
from nextlabel.blocks import Message
from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, SelectionError, Stalled

READ_AHEAD = 2  # messages


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server waits for a sender.

    `header_seconds` for the first message, `silence_seconds` for another one, and in all that
    long and what the bytes so far take at `bytes_per_second`.
    """

    header_seconds: float
    silence_seconds: float
    bytes_per_second: float

    def left(self, messages: int, size: int, waited: float) -> float:
        """Seconds to wait for the next message, after so many of `size` bytes and `waited` s."""
        if not messages:
            return self.header_seconds
        slowest = size / self.bytes_per_second
        return min(self.silence_seconds, self.silence_seconds + slowest - waited)


class Receiver:
    """Iterates over a stream that another thread reads: at first one message, then ahead.

    gRPC's own iterator waits without a limit, so that a stalled sender would hold its thread
    for ever; here the waiting side gives up.

    Args:
        messages: the stream, read in `executor` until it ends or this is closed.
        executor: where to read.
        cancel: ends the iteration with Cancelled.
        patience: with the sender; the iteration ends with Stalled.
    """

    def __init__(
        self,
        messages: Iterator[Message],
        executor: Executor,
        cancel: CancelToken,
        patience: Patience,
    ) -> None:
        self._messages = messages
        self._cancel = cancel
        self._patience = patience
        self._condition = threading.Condition()
        self._ready: deque[Message] = deque()
        self._may_read = 1  # messages
        self._taken = 0
        self._bytes = 0
        self._waited = 0.0
        self._ended = False
        self._closed = False
        self._error: SelectionError | None = None
        executor.submit(self._read)

    def __iter__(self) -> Iterator[Message]:
        with self._cancel.on_cancel(self._wake):
            while (message := self._next()) is not None:
                yield message

    def read_ahead(self) -> None:
        """Reads on: there is memory for it now."""
        with self._condition:
            self._may_read += READ_AHEAD
            self._condition.notify_all()

    def close(self) -> None:
        """Lets the reading thread go; what it still reads is dropped."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _next(self) -> Message | None:
        started = time.monotonic()
        left = self._patience.left(self._taken, self._bytes, self._waited)
        with self._condition:
            arrived = self._condition.wait_for(
                lambda: self._ready or self._ended or self._cancel.cancelled, left
            )
            self._waited += time.monotonic() - started
            self._cancel.check()
            if self._ready:
                return self._take()
            if not arrived:
                slow = f" after {self._bytes} bytes in {self._waited:.3g} s" if self._taken else ""
                raise Stalled(f"nothing was sent for {left:.3g} s{slow}")
            if self._error is not None:
                raise self._error
            return None

    def _take(self) -> Message:
        message = self._ready.popleft()
        if self._taken:
            self._may_read += 1
        self._taken += 1
        self._bytes += blocks.size(message)
        self._condition.notify_all()
        return message

    def _read(self) -> None:
        try:
            while self._wait_to_read() and (message := next(self._messages, None)) is not None:
                with self._condition:
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

    def _wait_to_read(self) -> bool:
        """Whether there is a next message to be read, once it may be."""
        with self._condition:
            self._condition.wait_for(lambda: self._may_read or self._closed)
            self._may_read -= 1
            return not self._closed

    def _wake(self) -> None:
        with self._condition:
            self._condition.notify_all()
