"""Who may work now: a budget of bytes, a number of calls, and a bounded queue in front.

A call says at its header how much memory it will take. It is let in when that fits beside
what others hold, waits in line for a short while when it does not, and is refused when the
line is full or the wait too long. Health checks never come here.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Busy, OverLimit
from nextlabel_server.rpc.calls import Call

RETRY_AFTER_SECONDS = 1.0


class Reservation:
    """Bytes that one admitted call holds; it may ask for more while it runs."""

    def __init__(self, admission: "Admission", held: int, call: Call) -> None:
        self._admission = admission
        self.held = held
        self.call = call

    def grow_to(self, total: int) -> None:
        """Holds `total` bytes from now on; the call that began to grow first waits for them.

        Raises:
            OverLimit: more than the whole budget.
            Busy: others hold too much.
            Cancelled: the caller went away while waiting.
        """
        if total > self.held:
            self._admission.grow(self, total)


class Admission:
    """Lets calls in, first come, first served.

    Calls that grow could wait for each other for ever, or all be refused together. So only the
    first of them waits for what others hold, and nobody new is let in meanwhile; the later ones
    give way at once, and one always comes to its end (as in wait-die, Rosenkrantz 1978).

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
        self._lock = threading.RLock()
        self._grower = threading.Condition(self._lock)
        self._line: deque[threading.Condition] = deque()
        self._growing: list[Reservation] = []  # those at work that ever grew, in that order
        self._grower_waits = False
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
        if not self._enter_at_once(size):
            with self._waiting(call):
                self._enter(size, call.cancel)
        reservation = Reservation(self, size, call)
        try:
            yield reservation
        finally:
            with self._lock:
                self._held -= reservation.held
                self._calls -= 1
                if reservation in self._growing:
                    self._growing.remove(reservation)
                self._wake_next()

    def grow(self, reservation: Reservation, total: int) -> None:
        """What `Reservation.grow_to` does."""
        self._refuse_over_limit(total)
        more = total - reservation.held
        with self._waiting(reservation.call), self._lock:
            if reservation not in self._growing:
                self._growing.append(reservation)
            if self._growing[0] is reservation:
                self._grower_waits = True  # what is given back is for it, and not for others
                try:
                    cancel = reservation.call.cancel
                    self._wait_until(self._grower, lambda: self._has(more), cancel)
                finally:
                    self._grower_waits = False
                    self._wake_next()
            elif self._grower_waits or not self._has(more):
                raise _busy("the server has no memory left for more rows of this pool now")
            self._held += more
            reservation.held = total

    def _enter_at_once(self, size: int) -> bool:
        """Whether nobody waits and there is room; it is taken then."""
        with self._lock:
            if self._line or not self._fits(size):
                return False
            self._held += size
            self._calls += 1
            return True

    def _enter(self, size: int, cancel: CancelToken) -> None:
        ticket = threading.Condition(self._lock)
        with self._lock:
            must_wait = bool(self._line) or not self._fits(size)
            if must_wait and len(self._line) >= self.max_waiting:
                raise _busy(f"{len(self._line)} calls are waiting already")
            self._line.append(ticket)
            try:
                self._wait_until(
                    ticket, lambda: self._line[0] is ticket and self._fits(size), cancel
                )
                self._held += size
                self._calls += 1
            finally:
                self._line.remove(ticket)
                self._wake_next()

    def _wait_until(
        self, turn: threading.Condition, ready: Callable[[], bool], cancel: CancelToken
    ) -> None:
        """Waits, holding the lock."""
        turn.wait_for(lambda: cancel.cancelled or ready(), self._max_wait)
        cancel.check()
        if not ready():
            raise _busy(f"no room within {self._max_wait:g} s")

    @contextmanager
    def _waiting(self, call: Call) -> Iterator[None]:
        """Counts what a call waits, and wakes it when its caller goes."""
        started = time.perf_counter()
        try:
            with call.cancel.on_cancel(self._wake_all):
                yield
        finally:
            call.spent.add("queue", started)

    def _fits(self, size: int) -> bool:
        return self._calls < self.max_calls and not self._grower_waits and self._has(size)

    def _has(self, size: int) -> bool:
        return self._held + size <= self.budget_bytes

    def _refuse_over_limit(self, size: int) -> None:
        if size > self.budget_bytes:
            raise OverLimit(
                f"this pool takes {size} bytes of memory; "
                f"this server has {self.budget_bytes} in all"
            )

    def _wake_next(self) -> None:
        """Wakes whose turn it can be: waking the whole line for each call would take its time."""
        self._grower.notify_all()
        if self._line:
            self._line[0].notify_all()

    def _wake_all(self) -> None:
        with self._lock:
            for turn in (self._grower, *self._line):
                turn.notify_all()


def _busy(why: str) -> Busy:
    return Busy(f"{why}; try again later", retry_after=RETRY_AFTER_SECONDS)
