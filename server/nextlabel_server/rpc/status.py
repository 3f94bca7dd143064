"""The one table from domain errors to gRPC statuses."""

from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from nextlabel_server import errors

# The status travels in metadata, which many peers limit to 8 KiB.
MAX_VIOLATIONS = 16
MAX_TEXT = 1200
DOMAIN = "nextlabel"

_CODES: dict[type[errors.SelectionError], grpc.StatusCode] = {
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownName: grpc.StatusCode.NOT_FOUND,
    errors.ModelUnfit: grpc.StatusCode.FAILED_PRECONDITION,
    errors.OverLimit: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Busy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Stalled: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: grpc.StatusCode.CANCELLED,
}


@dataclass(frozen=True)
class RichStatus(grpc.Status):
    """A google.rpc.Status in the form that `context.abort_with_status` takes."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


def code_of(error: BaseException) -> grpc.StatusCode:
    """The gRPC code of an error; INTERNAL for one that is not of the domain: a defect."""
    return _CODES.get(type(error), grpc.StatusCode.INTERNAL)  # type: ignore[arg-type]  # any


def reason_of(error: BaseException) -> str:
    """Why there is no answer, as the caller is told: ErrorInfo's reason."""
    return error.reason if isinstance(error, errors.SelectionError) else "INTERNAL"


def status_of(error: BaseException, request_id: str) -> RichStatus:
    """What the caller is told of an error. A defect's own text stays inside."""
    code = code_of(error)
    if isinstance(error, errors.SelectionError):
        message = error.message
    else:
        message = f"internal error; the server's log has the details of request {request_id}"
    message = shortened(message)
    info = error_details_pb2.ErrorInfo(reason=reason_of(error), domain=DOMAIN)
    if request_id:
        info.metadata["request_id"] = request_id
    details: list[any_pb2.Any] = [_packed(info)]
    if isinstance(error, errors.InvalidRequest):
        bad_request = error_details_pb2.BadRequest()
        for violation in error.violations[:MAX_VIOLATIONS]:
            bad_request.field_violations.add(
                field=shortened(violation.field), description=shortened(violation.description)
            )
        details.append(_packed(bad_request))
    if isinstance(error, errors.Busy):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(error.retry_after * 1000))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    status = status_pb2.Status(code=code.value[0], message=message, details=details)
    return RichStatus(code, message, (("grpc-status-details-bin", status.SerializeToString()),))


def shortened(text: str) -> str:
    """The text, cut where it would take over MAX_TEXT bytes as gRPC sends it: percent-encoded."""
    size = 0
    for at, char in enumerate(text):
        size += 1 if " " <= char <= "~" else 3 * len(char.encode())
        if size > MAX_TEXT:
            return text[:at] + "…"
    return text


def _packed(
    detail: error_details_pb2.ErrorInfo
    | error_details_pb2.BadRequest
    | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
