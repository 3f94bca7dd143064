"""One call from start to end: its token, its seconds, its line in the log, its status."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc

from nextlabel.v1 import service_pb2
from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, SelectionError
from nextlabel_server.logs import call_ids, get_logger
from nextlabel_server.rpc.spent import Spent
from nextlabel_server.rpc.status import code_of, reason_of, shortened, status_of

SERVICE = service_pb2.DESCRIPTOR.services_by_name["QuerySelectionService"].full_name

log = get_logger("nextlabel")


@dataclass(slots=True)
class Call:
    """What is known of a call so far; the log and other observers are told when it ends."""

    method: str
    service: str = SERVICE
    cancel: CancelToken = field(default_factory=CancelToken)
    spent: Spent = field(default_factory=Spent)
    started: float = field(default_factory=time.perf_counter)
    ended: float | None = None
    ids: dict[str, str] = field(default_factory=lambda: {"request_id": uuid.uuid4().hex})
    """What ties this call to the log, and to traces."""
    strategy: str = ""
    models: Sequence[str] = ()
    """Names of models, as they were asked for."""
    model: str = ""
    """Models and versions that were found, in words."""
    rows: int = 0
    bytes: int = 0
    picked: int = 0
    error: Exception | None = None

    @property
    def request_id(self) -> str:
        return self.ids["request_id"]

    @property
    def seconds(self) -> float:
        return (self.ended or time.perf_counter()) - self.started

    @property
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK if self.error is None else code_of(self.error)

    @property
    def reason(self) -> str:
        """Why there is no answer, as the caller is told; empty when there is one."""
        return "" if self.error is None else reason_of(self.error)


Observer: TypeAlias = Callable[[Call, grpc.ServicerContext], Callable[[], None]]
"""Is told of a call when it begins; what it returns is called when the call has ended."""


class Calls:
    """Begins calls, and tells observers of each."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = observers

    @contextmanager
    def begin(
        self, method: str, context: grpc.ServicerContext, *, service: str = SERVICE
    ) -> Iterator[Call]:
        """Runs one call: cancels its token when the caller goes, logs it, maps what it raises.

        An error of the domain becomes its status. Anything else is a defect: its details go to
        the log, and the caller gets a generic text with the request id.
        """
        current = Call(method, service)
        call_ids.set(current.ids)
        endings = [observe(current, context) for observe in self._observers]

        def end(error: Exception | None) -> None:
            current.ended = time.perf_counter()
            current.error = error
            for ending in endings:
                ending()
            _log(current)
            call_ids.set({})

        if not context.add_callback(current.cancel.cancel):
            current.cancel.cancel()
        try:
            yield current
        except SelectionError as error:
            end(error)
            context.abort_with_status(status_of(error, current.request_id))
        except Exception as error:
            if not context.is_active():  # gRPC raises a bare one when the caller has gone
                end(Cancelled())
                raise
            end(error)
            context.abort_with_status(status_of(error, current.request_id))
        except GeneratorExit:
            end(Cancelled())
            raise
        else:
            end(None)


def _log(ended: Call) -> None:
    fields: dict[str, object] = {
        "method": ended.method,
        **ended.ids,
        "status": ended.code.name,
        "seconds": round(ended.seconds, 6),
    }
    if ended.strategy:
        fields |= {
            "strategy": ended.strategy,
            "model": ended.model,
            "rows": ended.rows,
            "bytes": ended.bytes,
            "picked": ended.picked,
            "receive_seconds": round(ended.spent.seconds("receive"), 6),
            "queue_seconds": round(ended.spent.seconds("queue"), 6),
            "inference_seconds": round(ended.spent.seconds("inference"), 6),
            "selection_seconds": round(ended.spent.seconds("selection"), 6),
        }
    if ended.error is None:
        log.info("call", **fields)
    elif isinstance(ended.error, SelectionError):
        log.info("call", **fields, error=shortened(ended.error.message))
    else:
        log.error("call", **fields, exc_info=ended.error)
