"""Who may work now: a budget of bytes, a number of calls, and a bounded queue in front.

A call says at its header how much memory it will take. It is let in when that fits beside
what others hold, waits in line for a short while when it does not, and is refused when the
line is full or the wait too long. Health checks never come here.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Busy, OverLimit
from nextlabel_server.rpc.calls import Call

RETRY_AFTER_SECONDS = 1.0


class Reservation:
    """Bytes that one admitted call holds; it may ask for more while it runs."""

    def __init__(self, admission: "Admission", held: int) -> None:
        self._admission = admission
        self.held = held

    def grow_to(self, total: int) -> None:
        """Holds `total` bytes from now on, if they are free at once.

        Raises:
            OverLimit: more than the whole budget.
            Busy: others hold too much; waiting here could wait for ever.
        """
        if total > self.held:
            self._admission.take_more(total - self.held, total)
            self.held = total


class Admission:
    """Lets calls in, first come, first served.

    Args:
        budget_bytes: what all admitted calls may hold together.
        max_calls: how many may be in at once.
        max_waiting: how many may stand in line.
        max_wait_seconds: how long one may stand in line.
    """

    def __init__(
        self, budget_bytes: int, max_calls: int, max_waiting: int, max_wait_seconds: float
    ) -> None:
        self.budget_bytes = budget_bytes
        self.max_calls = max_calls
        self.max_waiting = max_waiting
        self._max_wait = max_wait_seconds
        self._condition = threading.Condition()
        self._line: deque[object] = deque()
        self._held = 0
        self._calls = 0

    @property
    def held_bytes(self) -> int:
        return self._held

    @property
    def calls(self) -> int:
        """How many are in."""
        return self._calls

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    @contextmanager
    def admit(self, size: int, call: Call) -> Iterator[Reservation]:
        """Holds a place and `size` bytes inside the block.

        Raises:
            OverLimit: more than the whole budget.
            Busy: the line is full, or the wait was too long.
            Cancelled: the caller went away while waiting.
        """
        self._refuse_over_limit(size)
        started = time.perf_counter()
        try:
            with call.cancel.on_cancel(self._wake):
                self._enter(size, call.cancel)
        finally:
            call.spent.add("queue", started)
        reservation = Reservation(self, size)
        try:
            yield reservation
        finally:
            with self._condition:
                self._held -= reservation.held
                self._calls -= 1
                self._condition.notify_all()

    def take_more(self, size: int, total: int) -> None:
        self._refuse_over_limit(total)
        with self._condition:
            if self._held + size > self.budget_bytes:
                raise Busy(
                    "the server has no memory left for more rows of this pool now; try again later",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            self._held += size

    def _enter(self, size: int, cancel: CancelToken) -> None:
        ticket = object()
        give_up = time.monotonic() + self._max_wait
        with self._condition:
            must_wait = bool(self._line) or not self._fits(size)
            if must_wait and len(self._line) >= self.max_waiting:
                raise Busy(
                    f"{len(self._line)} calls are waiting already; try again later",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            self._line.append(ticket)
            try:
                while not (self._line[0] is ticket and self._fits(size)):
                    remaining = give_up - time.monotonic()
                    if remaining <= 0:
                        raise Busy(
                            f"no room within {self._max_wait:g} s; try again later",
                            retry_after=RETRY_AFTER_SECONDS,
                        )
                    self._condition.wait(remaining)
                    cancel.check()
                self._held += size
                self._calls += 1
            finally:
                self._line.remove(ticket)
                self._condition.notify_all()

    def _fits(self, size: int) -> bool:
        return self._calls < self.max_calls and self._held + size <= self.budget_bytes

    def _refuse_over_limit(self, size: int) -> None:
        if size > self.budget_bytes:
            raise OverLimit(
                f"this pool takes {size} bytes of memory; "
                f"this server has {self.budget_bytes} in all"
            )

    def _wake(self) -> None:
        with self._condition:
            self._condition.notify_all()
