"""Trying again: every call is pure, so a new attempt is always safe.

gRPC's own retries stop once a stream has sent 256 KiB; these start the stream anew.
"""

import time
from typing import Any

from tenacity import (
    RetryCallState,
    retry_if_exception,
    wait_exponential,
    wait_random_exponential,
)

from nextlabel._arguments import real
from nextlabel.errors import BusyError, NextlabelError, UnavailableError

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
LOST_ATTEMPTS = 6
"""How often a server may be out of reach; a busy one is asked until the deadline."""

_LONGEST_SECONDS = 1e9  # gRPC takes a much later deadline for one that has passed

# Half of each wait is sure: all of them together outlast the longest wait to connect anew.
_backoff = wait_exponential(FIRST_WAIT_SECONDS / 2, LONGEST_WAIT_SECONDS / 2) + (
    wait_random_exponential(FIRST_WAIT_SECONDS / 2, LONGEST_WAIT_SECONDS / 2)
)


class Deadline:
    """The moment when a call, with all its attempts, must be over."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + min(real("timeout", seconds), _LONGEST_SECONDS)

    @property
    def remaining(self) -> float:
        """Seconds that are left, not below zero."""
        return max(0.0, self._at - time.monotonic())


def policy(deadline: Deadline, *, repeatable: bool) -> dict[str, Any]:
    """Arguments for tenacity's Retrying and AsyncRetrying alike.

    `repeatable` is false for a pool that can be read only once.
    """

    def worth_it(error: BaseException) -> bool:
        return repeatable and isinstance(error, BusyError | UnavailableError)

    def wait(state: RetryCallState) -> float:
        error = _error(state)
        least = error.retry_after if isinstance(error, BusyError) else 0.0
        return least + _backoff(state)

    def stop(state: RetryCallState) -> bool:
        lost = isinstance(_error(state), UnavailableError)
        return state.upcoming_sleep >= deadline.remaining or (
            lost and state.attempt_number >= LOST_ATTEMPTS
        )

    return {"retry": retry_if_exception(worth_it), "wait": wait, "stop": stop, "reraise": True}


def _error(state: RetryCallState) -> NextlabelError | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, NextlabelError) else None
