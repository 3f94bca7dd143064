"""What can go wrong with a call.

    NextlabelError
    ├── InvalidRequestError     change the request: `violations` says which fields, and how
    ├── NotFoundError           no such strategy or model: the message lists what there is
    ├── ModelError              the model cannot do it: fix or choose another
    ├── LimitError              the pool is over a limit of this server: send less
    ├── BusyError               the server stayed full until the deadline: try again later
    ├── AuthenticationError     server and client do not trust each other: token, certificates
    ├── UnavailableError        no server answered: check the address, or wait_ready()
    ├── DeadlineError           no answer in time: give it a longer `timeout`
    └── ServerError             a defect of the server: report it with its `request_id`

What is worth trying again has been tried again before one of these is raised.
"""

from dataclasses import dataclass
from typing import cast

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status


@dataclass(frozen=True, slots=True)
class Violation:
    """One field at fault, and what is wrong with it."""

    field: str
    description: str


class NextlabelError(Exception):
    """Base of everything that a client raises.

    Attributes:
        reason: the server's UPPER_SNAKE reason, or an empty string.
        request_id: the call's name in the server's log, or an empty string.
        violations: the fields at fault.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        request_id: str = "",
        violations: tuple[Violation, ...] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.request_id = request_id
        self.violations = violations


class InvalidRequestError(NextlabelError, ValueError):
    """The request is malformed or asks for something impossible."""


class NotFoundError(NextlabelError, LookupError):
    """There is no strategy, model or version of that name."""


class ModelError(NextlabelError):
    """The model cannot be used, or does not give what the strategy needs."""


class LimitError(NextlabelError):
    """The pool is larger than this server takes."""


class BusyError(NextlabelError):
    """The server had no room for the call until its deadline."""

    retry_after: float = 0.0


class AuthenticationError(NextlabelError, PermissionError):
    """The server does not take the token, or the client not the server's certificate."""


class UnavailableError(NextlabelError, ConnectionError):
    """No server answered."""


class DeadlineError(NextlabelError, TimeoutError):
    """There was no answer in time."""


class ServerError(NextlabelError):
    """The server failed in a way that it does not explain."""


def invalid(field: str, description: str) -> InvalidRequestError:
    """An InvalidRequestError that the client itself finds, before anything is sent."""
    return InvalidRequestError(
        f"{field}: {description}", violations=(Violation(field, description),)
    )


_KINDS: dict[grpc.StatusCode, type[NextlabelError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: ModelError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LimitError,
    grpc.StatusCode.UNAUTHENTICATED: AuthenticationError,
    grpc.StatusCode.PERMISSION_DENIED: AuthenticationError,  # what a proxy may say
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    # Nobody cancels here but the server, when it shuts down with the call still at work.
    grpc.StatusCode.CANCELLED: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
}

# What gRPC says of a connection that TLS does not let come about, and what it means.
_UNTRUSTED = {
    "certificate has expired": "its certificate has expired",
    "certificate is not yet valid": "its certificate is not valid yet",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is signed by nobody whom tls.ca names",
    "Hostname Verification": "its certificate is for other names; see tls.server_name",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
}


def from_rpc(error: grpc.RpcError, address: str, *, repeatable: bool = True) -> NextlabelError:
    """The exception for an RPC that failed; one that is not repeatable says so."""
    call = cast("grpc.Call", error)  # what gRPC raises for an RPC is always both
    code, message = call.code(), call.details() or ""
    status = rpc_status.from_call(call) or status_pb2.Status(code=code_pb2.UNKNOWN)
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for kind in (info, bad_request, retry):
            if detail.Is(kind.DESCRIPTOR):
                detail.Unpack(kind)
    kind = _KINDS.get(code, ServerError)
    if kind is LimitError and retry.HasField("retry_delay"):
        kind = BusyError
    if kind is ServerError and not info.reason and "RST_STREAM" in message:
        kind = UnavailableError  # what a balancer does to a stream whose server it lost
    if kind is UnavailableError and (untrusted := _untrusted(message)):
        kind, message = AuthenticationError, f"{address} cannot be trusted: {untrusted}"
    if kind is UnavailableError:
        if "last error" in message and message.endswith("Socket closed"):
            message += "; it may want TLS, or a certificate of the client's"
        message = f"no server at {address} answered: {message}"
    if kind is DeadlineError and not info.reason:
        message = f"no answer from {address} in time; give it a longer timeout"
    if kind in (UnavailableError, BusyError) and not repeatable:
        message += "; not tried again, because an iterator can be read only once"
    raised: NextlabelError = kind(
        message,
        reason=info.reason,
        request_id=info.metadata.get("request_id", ""),
        violations=tuple(Violation(v.field, v.description) for v in bad_request.field_violations),
    )
    if isinstance(raised, BusyError):
        raised.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return raised


def _untrusted(message: str) -> str:
    """Why TLS did not come about, where that is what a failed connection is about."""
    return next((why for said, why in _UNTRUSTED.items() if said in message), "")


def not_ready(error: grpc.RpcError, address: str, seconds: float) -> NextlabelError:
    """The exception for a server that was waited for in vain."""
    cause = from_rpc(error, address)
    if isinstance(cause, AuthenticationError):
        return cause
    return UnavailableError(
        f"no server at {address} was ready within {seconds:g} s ({cause}); "
        "is it running? `nextlabel serve` starts one",
    )
