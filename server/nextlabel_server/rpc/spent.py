"""Where the time of a call goes."""

import threading
import time
from dataclasses import dataclass
from typing import Literal

Part = Literal["receive", "queue", "inference", "selection"]


@dataclass(slots=True)
class Time:
    """Seconds of one part of a call, from when to when; moments are those of perf_counter.

    `seconds` may exceed what lies between, as threads work side by side, or fall short of it.
    """

    began: float
    ended: float
    seconds: float


class Spent:
    """Time spent on one call, by what it was spent on; parts overlap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.parts: dict[Part, Time] = {}

    def add(self, part: Part, since: float) -> None:
        """Counts the time from that moment until now."""
        now = time.perf_counter()
        with self._lock:
            spent = self.parts.setdefault(part, Time(since, now, 0.0))
            spent.began = min(spent.began, since)
            spent.ended = now
            spent.seconds += now - since

    def seconds(self, part: Part) -> float:
        return self.parts[part].seconds if part in self.parts else 0.0
