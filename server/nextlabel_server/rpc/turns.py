"""Turns at computing: a few at a time, in the order in which they were asked for."""

import threading
import time
from collections import deque
from typing import Self

from nextlabel_server.cancel import CancelToken
from nextlabel_server.rpc.spent import Spent

HELD_SECONDS = 0.02  # about what a block takes, so that work of any length is as good a neighbour


class Turns:
    """So many turns; who gives one back and wants another stands behind those that wait.

    A semaphore would let whoever gives a turn back take it again before others have woken up, so
    that a call with many rows could keep all others waiting (measured: for seconds).
    """

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._left = count  # above 0 only while nobody waits
        self._line: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    def take(self) -> None:
        """Waits for a turn."""
        with self._lock:
            if self._left:
                self._left -= 1
                return
            mine = threading.Event()
            self._line.append(mine)
        mine.wait()

    def give_back(self) -> None:
        """Hands a turn to the first in line."""
        with self._lock:
            if self._line:
                self._line.popleft().set()
            else:
                self._left += 1


class Turn:
    """One call's turns, one after another, each inside a `with` block.

    Args:
        turns: where it takes them.
        cancel: stops what is done in them.
        spent: where waiting and working are counted.
    """

    def __init__(self, turns: Turns, cancel: CancelToken, spent: Spent) -> None:
        self._turns = turns
        self._cancel = cancel
        self._spent = spent
        self._since: float | None = None  # when the one that it has began

    def __enter__(self) -> Self:
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()

    def pause(self) -> None:
        """To be called now and then in long work: stops it, or lets others have a turn meanwhile.

        Raises:
            Cancelled: nobody waits for this call any more.
        """
        self._cancel.check()
        if self._since is not None and time.perf_counter() - self._since >= HELD_SECONDS:
            self._give_back()
            self._take()

    def _take(self) -> None:
        waiting_since = time.perf_counter()
        self._turns.take()
        self._spent.add("queue", waiting_since)
        self._since = time.perf_counter()

    def _give_back(self) -> None:
        if self._since is not None:
            self._spent.add("selection", self._since)
            self._since = None
            self._turns.give_back()
