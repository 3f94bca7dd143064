"""One call from start to end: its token, its seconds, its line in the log, its status."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, SelectionError
from nextlabel_server.logs import get_logger
from nextlabel_server.rpc.status import code_of, shortened, status_of

log = get_logger("nextlabel")


@dataclass(slots=True)
class Spent:
    """Seconds spent on one call, by what they were spent on; parts overlap."""

    receive: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
    selection: float = 0.0


@dataclass(slots=True)
class Call:
    """What is known of a call so far; logged in one line when it ends."""

    method: str
    cancel: CancelToken = field(default_factory=CancelToken)
    spent: Spent = field(default_factory=Spent)
    started: float = field(default_factory=time.perf_counter)
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    strategy: str = ""
    model: str = ""
    rows: int = 0
    bytes: int = 0
    picked: int = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


@contextmanager
def call(method: str, context: grpc.ServicerContext) -> Iterator[Call]:
    """Runs one call: cancels its token when the caller goes, logs it, maps what it raises.

    An error of the domain becomes its status. Anything else is a defect: its details go to the
    log, and the caller gets a generic text with the request id.
    """
    current = Call(method)
    if not context.add_callback(current.cancel.cancel):
        current.cancel.cancel()
    try:
        yield current
    except SelectionError as error:
        _log(current, error)
        context.abort_with_status(status_of(error, current.request_id))
    except Exception as error:
        if not context.is_active():  # gRPC raises a bare one when the caller has gone
            _log(current, Cancelled())
            raise
        _log(current, error)
        context.abort_with_status(status_of(error, current.request_id))
    except GeneratorExit:
        _log(current, Cancelled())
        raise
    else:
        _log(current, None)


def _log(ended: Call, error: Exception | None) -> None:
    fields: dict[str, object] = {
        "method": ended.method,
        "request_id": ended.request_id,
        "status": "OK" if error is None else code_of(error).name,
        "seconds": round(ended.seconds, 6),
    }
    if ended.strategy:
        fields |= {
            "strategy": ended.strategy,
            "model": ended.model,
            "rows": ended.rows,
            "bytes": ended.bytes,
            "picked": ended.picked,
            "receive_seconds": round(ended.spent.receive, 6),
            "queue_seconds": round(ended.spent.queue, 6),
            "inference_seconds": round(ended.spent.inference, 6),
            "selection_seconds": round(ended.spent.selection, 6),
        }
    if error is None:
        log.info("call", **fields)
    elif isinstance(error, SelectionError):
        log.info("call", **fields, error=shortened(error.message))
    else:
        log.error("call", **fields, exc_info=error)
