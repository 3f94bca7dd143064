"""Traces, as a collector gets them from a real server."""

import subprocess
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2,
    trace_service_pb2_grpc,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider

from nextlabel import AsyncClient, Client
from tests import servers
from tests.rpc.calls import Connection, joined, refusal, request, stream

CALLERS = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = ("traceparent", f"00-{CALLERS}-b7ad6b7169203331-01")


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """An OTLP receiver."""

    def __init__(self):
        self.resources = []
        self.spans: list[Span] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Export(self, request, context):  # noqa: N802 - gRPC names it
        for resource in request.resource_spans:
            self.resources.append(attributes(resource.resource))
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return trace_service_pb2.ExportTraceServiceResponse()

    def call(self, request_id) -> Span:
        """The span of a call."""

        def found():
            return [
                s for s in self.spans if attributes(s).get("nextlabel.request_id") == request_id
            ]

        assert servers.wait_for(found, 10), [span.name for span in self.spans]
        [span] = found()
        return span

    def parts(self, span: Span) -> dict[str, Span]:
        return {part.name: part for part in self.spans if part.parent_span_id == span.span_id}

    def close(self):
        self._server.stop(None).wait()


def attributes(of):
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
        for one in of.attributes
    }


def request_id_of(span):
    return attributes(span).get("nextlabel.request_id")


@pytest.fixture(scope="module")
def collector():
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def running(collector):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        running = servers.ServerProcess()
    with running:
        yield running


@pytest.fixture(scope="module")
def connection(running):
    with Connection(running.address) as opened:
        yield opened


@pytest.mark.parametrize("shape_of_call", ["unary", "streamed"])
def test_a_call_is_a_span_in_the_trace_of_its_caller(collector, running, connection, shape_of_call):
    whole = request(request_id=f"traced {shape_of_call}")
    if shape_of_call == "unary":
        connection.select(whole, metadata=[TRACEPARENT])
        name = "Select"
    else:
        joined(connection.select_stream(stream(whole), metadata=[TRACEPARENT]))
        name = "SelectStream"
    span = collector.call(whole.spec.request_id)
    assert span.name == f"nextlabel.v1.QuerySelectionService/{name}"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (CALLERS, "b7ad6b7169203331")
    told = attributes(span)
    assert (told["rpc.system"], told["rpc.method"], told["rpc.grpc.status_code"]) == (
        "grpc",
        name,
        0,
    )
    assert (told["nextlabel.strategy"], told["nextlabel.rows"]) == ("entropy", 4)
    assert (told["nextlabel.picked"], "error.type" in told) == (2, False)
    assert {resource["service.name"] for resource in collector.resources} == {"nextlabel"}
    line = running.wait_for_call(request_id=whole.spec.request_id)
    assert (line["trace_id"], line["span_id"]) == (CALLERS, span.span_id.hex())


@pytest.mark.parametrize(
    ("shape_of_call", "expected"),
    [("unary", {"queue", "selection"}), ("streamed", {"receive", "queue", "selection"})],
)
def test_parts_of_a_call_are_spans_within_it(collector, connection, shape_of_call, expected):
    whole = request(request_id=f"parts {shape_of_call}")
    if shape_of_call == "unary":
        connection.select(whole)
    else:
        joined(connection.select_stream(stream(whole)))
    span = collector.call(whole.spec.request_id)
    assert servers.wait_for(lambda: len(collector.parts(span)) == len(expected))
    parts = collector.parts(span)
    assert set(parts) == expected
    slack = 1_000_000  # two clocks
    for part in parts.values():
        assert part.trace_id == span.trace_id
        assert span.start_time_unix_nano - slack <= part.start_time_unix_nano
        assert part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= span.end_time_unix_nano + slack
        assert attributes(part)["nextlabel.seconds"] >= 0


def test_a_refused_call_says_why_and_is_no_fault_of_the_server(collector, connection):
    refusal(lambda: connection.select(request(budget={"count": 0}, request_id="refused")))
    span = collector.call("refused")
    assert attributes(span)["rpc.grpc.status_code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert attributes(span)["error.type"] == "INVALID_REQUEST"
    assert span.status.code == Status.STATUS_CODE_UNSET


@pytest.mark.parametrize("bad", ["", "00-zz-1-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_trace_context_that_is_none_begins_a_trace(collector, connection, bad):
    whole = request(request_id=f"of its own {len(bad)}")
    connection.select(whole, metadata=[("traceparent", bad)])
    span = collector.call(whole.spec.request_id)
    assert span.parent_span_id == b""
    assert any(span.trace_id)


def test_a_call_that_its_caller_does_not_trace_is_not_sent(collector, running, connection):
    unsampled = ("traceparent", TRACEPARENT[1][:-2] + "00")
    connection.select(request(request_id="not sampled"), metadata=[unsampled])
    assert running.wait_for_call(request_id="not sampled")["trace_id"] == CALLERS
    connection.select(request(request_id="after it"))
    collector.call("after it")
    assert "not sampled" not in map(request_id_of, collector.spans)


def test_the_client_passes_its_trace_on(collector, running, probabilities):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with Client(running.address) as client, tracer.start_as_current_span("caller") as span:
        client.select(probabilities, strategy="entropy", budget=1, request_id="small")
        halves = iter([probabilities[:500], probabilities[500:]])
        client.select(halves, strategy="entropy", budget=1, request_id="large")
    for name in ("small", "large"):
        found = collector.call(name)
        assert found.trace_id == span.get_span_context().trace_id.to_bytes(16)
        assert found.parent_span_id == span.get_span_context().span_id.to_bytes(8)


async def test_the_client_for_asyncio_passes_its_trace_on(collector, running, probabilities):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    async with AsyncClient(running.address) as client:
        with tracer.start_as_current_span("caller") as span:
            await client.select(probabilities, strategy="entropy", budget=1, request_id="awaited")
    found = collector.call("awaited")
    assert found.parent_span_id == span.get_span_context().span_id.to_bytes(8)
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_collector_out_of_reach_costs_no_call_and_hardly_a_line(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    with servers.ServerProcess() as running, Connection(running.address) as connection:
        give_up = time.monotonic() + 3
        while time.monotonic() < give_up:
            connection.select(request(), timeout=5)
        running.terminate()
        assert running.wait(10) == 0
    about = [line for line in running.log if line["logger"].startswith("opentelemetry")]
    assert 1 <= len(about) <= 4
    assert not [line for line in running.output if not line.startswith("{")]


def test_what_is_left_is_sent_at_the_end(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    with servers.ServerProcess() as running, Connection(running.address) as connection:
        connection.select(request(request_id="the last"))
        running.terminate()
        assert running.wait(10) == 0
    assert collector.call("the last")


def test_spans_go_by_http_where_that_is_asked_for(monkeypatch):
    names = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
            for resource in sent.resource_spans:
                names.extend(span.name for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{receiver.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with servers.ServerProcess() as running, Connection(running.address) as connection:
            connection.select(request())
            assert servers.wait_for(lambda: len(names) == 3, 10)
        receiver.shutdown()
    assert sorted(names) == ["nextlabel.v1.QuerySelectionService/Select", "queue", "selection"]


def test_nothing_is_imported_unless_a_collector_is_named():
    program = (
        "import sys\n"
        "from nextlabel_server.app import Server\n"
        "from nextlabel_server.settings import Settings\n"
        "with Server(Settings(address='127.0.0.1:0')): pass\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_missing_extra_is_said_in_a_sentence():
    program = (
        "import os, sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://127.0.0.1:1'\n"
        "sys.argv = ['nextlabel', 'serve', '--address', '127.0.0.1:0']\n"
        "from nextlabel.__main__ import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in done.stderr
    assert "pip install 'nextlabel[otel]'" in done.stderr
