"""Reading a request stream, with an eye on senders that are slow or stop."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass
from itertools import islice

from nextlabel import blocks
from nextlabel.blocks import Message
from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, SelectionError, Stalled

LOOK_SECONDS = 0.1  # between two looks at the sender


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
    """Reads a stream in a thread of its own, where its messages are worked on too.

    gRPC's own iterator waits without a limit, so that a stalled sender would hold its thread
    for ever; here another thread looks on and gives up. What comes is worked on where it is read:
    handing a row block to a further thread costs more than scoring it (measured).

    Args:
        messages: the stream.
        executor: where to read.
        cancel: ends the work with Cancelled.
        patience: with the sender; the work ends with Stalled.
    """

    def __init__(
        self,
        messages: Iterator[Message],
        executor: Executor,
        cancel: CancelToken,
        patience: Patience,
    ) -> None:
        self._messages = messages
        self._executor = executor
        self._cancel = cancel
        self._patience = patience
        self._condition = threading.Condition()
        self._at_work = False
        self._closed = False
        self._waiting_since: float | None = None  # for the sender
        self._waited = 0.0
        self._taken = 0
        self._bytes = 0

    def first(self) -> Message | None:
        """The first message; None when the stream has none."""
        found: list[Message] = []
        for _ in self.work(lambda messages: found.extend(islice(messages, 1))):
            pass
        return found[0] if found else None

    def work(self, work: Callable[[Iterator[Message]], None]) -> Iterator[None]:
        """Has the messages that are still to come worked on, and yields now and then meanwhile.

        Raises:
            SelectionError: what the work raises, Stalled or Cancelled.
        """
        done = self._executor.submit(copy_context().run, self._work, work)
        while True:
            try:
                return done.result(LOOK_SECONDS)
            except TimeoutError:
                pass
            self._cancel.check()
            self._refuse_stalled()
            yield

    def close(self) -> None:
        """Ends the work, at once when it waits for the sender, or else before its next message."""
        with self._condition:
            self._closed = True
            self._condition.wait_for(lambda: self._waiting_since is not None or not self._at_work)

    def _work(self, work: Callable[[Iterator[Message]], None]) -> None:
        self._at_work = True
        try:
            work(self._read())
        finally:
            with self._condition:
                self._at_work = False
                self._condition.notify_all()

    def _read(self) -> Iterator[Message]:
        while (message := self._next()) is not None:
            yield message
            del message  # before the next one comes

    def _next(self) -> Message | None:
        started = time.monotonic()
        self._wait(started)
        try:
            message = next(self._messages, None)
        except SelectionError:
            raise
        except Exception:  # gRPC's, for a call that has ended
            raise Cancelled from None
        finally:
            self._waited += time.monotonic() - started
            self._wait(None)
        if message is not None:
            self._taken += 1
            self._bytes += blocks.size(message)
        return message

    def _wait(self, since: float | None) -> None:
        with self._condition:
            self._waiting_since = since
            self._condition.notify_all()
            if self._closed:
                raise Cancelled

    def _refuse_stalled(self) -> None:
        since = self._waiting_since
        if since is None:
            return
        left = self._patience.left(self._taken, self._bytes, self._waited)
        waiting = time.monotonic() - since
        if waiting > left:
            waited = self._waited + waiting
            slow = f" after {self._bytes} bytes in {waited:.3g} s" if self._taken else ""
            raise Stalled(f"nothing was sent for {left:.3g} s{slow}")
