"""Everything that can be wrong with a request, in domain words.

    SelectionError
    ├── Unauthenticated     the caller does not show that it may call
    ├── InvalidRequest      the caller must change the request
    ├── UnknownName         no such strategy, model or version
    ├── ModelUnfit          the model cannot do what was asked of it
    ├── OverLimit           larger than this server ever takes
    ├── Busy                no room now; later there will be
    ├── Stalled             the sender stopped sending
    └── Cancelled           nobody waits for the answer any more

The rpc package alone knows which gRPC status each one becomes. The text of every one of
these is written for the caller, so it never holds text from inside (paths, tracebacks).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One field at fault: its path in the request, and what is wrong with it."""

    field: str
    description: str


class SelectionError(Exception):
    """Base of all errors whose text may be shown to the caller."""

    reason = "SELECTION_ERROR"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unauthenticated(SelectionError):
    """The caller brings no token, or one that is unknown."""

    reason = "UNAUTHENTICATED"


class InvalidRequest(SelectionError):
    """The request is malformed or asks for something impossible."""

    reason = "INVALID_REQUEST"

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.violations = (Violation(field, description),)


class UnknownName(SelectionError):
    """The request names a strategy, model or version that does not exist."""

    reason = "UNKNOWN_NAME"


class ModelUnfit(SelectionError):
    """The model cannot be used, or does not give what the strategy needs."""

    reason = "MODEL_UNFIT"


class OverLimit(SelectionError):
    """The request is larger than this server ever takes; trying again will not help."""

    reason = "OVER_LIMIT"


class Busy(SelectionError):
    """There is no room for the request now; `retry_after` (seconds) says when to try again."""

    reason = "BUSY"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Stalled(SelectionError):
    """The sender has sent nothing for longer than the server waits."""

    reason = "STALLED"


class Cancelled(SelectionError):
    """The caller went away or its deadline passed; the work stops here."""

    reason = "CANCELLED"

    def __init__(self) -> None:
        super().__init__("the call was cancelled")
