"""OpenTelemetry traces: a span for each call, in the trace of its caller.

Not the instrumentation library for gRPC: it misses statuses that are set by
`abort_with_status`, and replaces the handlers that keep health checks in threads of their own.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial

import grpc
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from nextlabel import __version__
from nextlabel_server.rpc.calls import Call

FLUSH_SECONDS = 2.0
LOG_SECONDS = 60.0

# By the conventions for servers, the rest is the caller's own fault.
_FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED}


class Traces:
    """Sends a span of each call to an OTLP collector, as OTEL_* variables say. An observer.

    Spans wait in a bounded queue for a thread of their own: a collector out of reach costs
    spans, and no call waits for it.
    """

    def __init__(self) -> None:
        self._exporter = _exporter()
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("nextlabel", __version__)
        for name in list(logging.root.manager.loggerDict):
            if name.startswith(("opentelemetry.exporter.", "opentelemetry.sdk.")):
                logging.getLogger(name).addFilter(_Seldom())

    def __call__(self, call: Call, context: grpc.ServicerContext) -> Callable[[], None]:
        texts = {key: v for key, v in context.invocation_metadata() if isinstance(v, str)}
        span = self._tracer.start_span(
            f"{call.service}/{call.method}",
            propagate.extract(texts),
            trace.SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": call.service, "rpc.method": call.method},
        )
        known = span.get_span_context()
        if known.is_valid:
            call.ids["trace_id"] = trace.format_trace_id(known.trace_id)
            call.ids["span_id"] = trace.format_span_id(known.span_id)
        return partial(self._ended, call, span)

    def close(self) -> None:
        """Sends what is left, for a short while."""
        late = threading.Timer(FLUSH_SECONDS, self._exporter.shutdown)
        late.daemon = True
        late.start()
        self._provider.shutdown()
        late.cancel()

    def _ended(self, call: Call, span: trace.Span) -> None:
        if span.is_recording():
            self._describe(call, span)
        span.end()

    def _describe(self, call: Call, span: trace.Span) -> None:
        span.set_attribute("rpc.grpc.status_code", call.code.value[0])
        span.set_attribute("nextlabel.request_id", call.request_id)
        if call.reason:
            span.set_attribute("error.type", call.reason)
        if call.code in _FAULTS:
            span.set_status(trace.StatusCode.ERROR)
        if call.strategy:
            span.set_attributes(
                {
                    "nextlabel.strategy": call.strategy,
                    "nextlabel.model": call.model,
                    "nextlabel.rows": call.rows,
                    "nextlabel.bytes": call.bytes,
                    "nextlabel.picked": call.picked,
                }
            )
        inside = trace.set_span_in_context(span)
        epoch = time.time_ns() - time.perf_counter_ns()
        for part, spent in call.spent.parts.items():
            child = self._tracer.start_span(
                part,
                inside,
                attributes={"nextlabel.seconds": spent.seconds},
                start_time=epoch + int(spent.began * 1e9),
            )
            child.end(epoch + int(spent.ended * 1e9))


def _resource() -> Resource:
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: "nextlabel"}))
    return resource


def _exporter() -> SpanExporter:
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    if os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol) == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as ByGrpc

        return ByGrpc()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as ByHttp

    return ByHttp()


class _Seldom(logging.Filter):
    """Lets a line through now and then: a collector out of reach must not fill the log."""

    _next = 0.0

    def filter(self, _record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + LOG_SECONDS
        return True
