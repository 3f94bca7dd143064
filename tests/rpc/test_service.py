"""What a server offers beside selections: health, reflection, logs, and how it starts and ends."""

import dataclasses
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from nextlabel_server import app
from nextlabel_server.listening import AddressInUse
from nextlabel_server.rpc import calls as calls_module
from nextlabel_server.selection import registry
from nextlabel_server.settings import Settings
from tests import servers
from tests.rpc.calls import Connection, header, joined, refusal, request, stream, tensor

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health(connection):
    return health_pb2_grpc.HealthStub(connection.channel)


def status(connection, service=""):
    asked = health_pb2.HealthCheckRequest(service=service)
    return health(connection).Check(asked, timeout=2).status


@pytest.fixture
def connection(server):
    with Connection(server.address) as opened:
        yield opened


def test_health_is_known_of_the_server_and_of_the_service(connection):
    assert status(connection) == SERVING
    assert status(connection, app.SERVICE) == SERVING
    assert refusal(lambda: status(connection, "other.Service")).code == "NOT_FOUND"


def test_watchers_hear_that_a_server_drains():
    with (
        servers.ServerProcess(drain_seconds=0.5) as running,
        Connection(running.address) as connection,
    ):
        asked = health_pb2.HealthCheckRequest(service=app.SERVICE)
        watch = health(connection).Watch(asked, timeout=10)
        assert next(watch).status == SERVING
        running.terminate()
        assert next(watch).status == NOT_SERVING
        assert status(connection) == NOT_SERVING
        assert len(connection.select(request()).ranking.indices) == 2  # not refused yet
        assert running.wait() == 0
        assert refusal(lambda: connection.select(request(), timeout=2)).code == "UNAVAILABLE"
    assert [line["event"] for line in running.log if line["event"] != "call"] == [
        "serving",
        "draining",
        "stopped",
    ]


def test_health_answers_while_every_other_thread_is_busy():
    with (
        servers.in_process(max_calls=1, max_waiting=0, stall_seconds=5) as server,
        Connection(server.address) as connection,
    ):
        done = threading.Event()

        def half():
            yield header(request(tensor(shape=[8, 2])))
            done.wait(5)

        busy = [connection.select_stream(half()) for _ in range(5)]
        watches = [
            health(connection).Watch(health_pb2.HealthCheckRequest(), timeout=5) for _ in range(20)
        ]
        assert [next(watch).status for watch in watches] == [SERVING] * 20
        assert status(connection) == SERVING
        done.set()
        for call in (*busy, *watches):
            call.cancel()


def test_servers_in_one_process_do_not_share_their_health():
    with servers.in_process() as lasting, Connection(lasting.address) as connection:
        with servers.in_process() as passing, Connection(passing.address) as other:
            assert status(other) == status(connection) == SERVING
        assert status(connection) == SERVING
        watch = health(connection).Watch(health_pb2.HealthCheckRequest(), timeout=2)
        assert next(watch).status == SERVING
        watch.cancel()


def test_reflection_describes_every_service(connection):
    stub = reflection_pb2_grpc.ServerReflectionStub(connection.channel)
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=app.SERVICE),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.such.Thing"),
    ]
    listed, described, unknown = stub.ServerReflectionInfo(iter(asked), timeout=5)
    names = {service.name for service in listed.list_services_response.service}
    assert names == {
        "nextlabel.v1.QuerySelectionService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert described.file_descriptor_response.file_descriptor_proto
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_two_servers_cannot_listen_on_one_port(server):
    with pytest.raises(AddressInUse, match=f"cannot listen on {server.address}"):
        app.Server(Settings(address=server.address))


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "256.0.0.1:0"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(AddressInUse, match="cannot listen on"):
        app.Server(Settings(address=address))


def test_a_server_listens_on_a_unix_socket(tmp_path):
    with (
        servers.in_process(address=f"unix:{tmp_path}/socket") as server,
        Connection(server.address) as connection,
    ):
        assert len(connection.select(request()).ranking.indices) == 2


def test_strategies_are_imported_before_the_first_call():
    program = """
import sys
from nextlabel_server import app, settings
app.Server(settings.Settings(address="127.0.0.1:0"))
print("nextlabel_server.selection.strategies.uncertainty" in sys.modules)
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert printed.stdout == "True\n", printed.stderr


FIELDS = {"method", "request_id", "status", "seconds", "strategy", "model", "rows", "bytes"}
FIELDS |= {"picked", "receive_seconds", "queue_seconds", "inference_seconds", "selection_seconds"}


def test_every_call_leaves_one_line_in_the_log(server_process):
    sent = {}
    with Connection(server_process.address) as connection:
        for method in ("Select", "SelectStream"):
            whole = request(request_id=f"line of {method}")
            if method == "Select":
                connection.select(whole)
                sent[method] = whole.ByteSize()
            else:
                joined(connection.select_stream(stream(whole)))
                sent[method] = sum(message.ByteSize() for message in stream(whole))
        connection.stub.ListStrategies(calls_empty("ListStrategiesRequest"))
        refusal(lambda: connection.select(request(budget=None, request_id="bad line")))
    for method, size in sent.items():
        line = server_process.wait_for_call(request_id=f"line of {method}")
        assert set(line) >= FIELDS
        assert (line["method"], line["status"], line["strategy"]) == (method, "OK", "entropy")
        assert (line["rows"], line["picked"], line["level"]) == (4, 2, "info")
        assert line["bytes"] == pytest.approx(size, abs=100)
        assert 0 < line["seconds"] < 5
        assert len(server_process.calls(request_id=f"line of {method}")) == 1
    assert server_process.wait_for_call(method="ListStrategies", status="OK")["request_id"]
    line = server_process.wait_for_call(request_id="bad line")
    assert line["status"] == "INVALID_ARGUMENT"
    assert "budget" in line["error"]


def calls_empty(name):
    from nextlabel.v1 import service_pb2

    return getattr(service_pb2, name)()


class Log:
    """Stands in for the log."""

    def __init__(self):
        self.lines = []

    def __getattr__(self, level):
        return lambda event, **fields: self.lines.append({"level": level, **fields})


@pytest.mark.parametrize("shape_of_call", ["unary", "streamed"])
def test_a_defect_is_told_to_the_log_and_not_to_the_caller(connection, monkeypatch, shape_of_call):
    def fail(*_, **__):
        raise RuntimeError("the secret of /home/nobody")

    strategies = registry._by_any_name()
    broken = dataclasses.replace(strategies["entropy"], score=fail)
    monkeypatch.setitem(strategies, "entropy", broken)
    log = Log()
    monkeypatch.setattr(calls_module, "log", log)
    whole = request(request_id="doomed")
    if shape_of_call == "unary":
        found = refusal(lambda: connection.select(whole))
    else:
        found = refusal(lambda: connection.select_stream(stream(whole)))
    assert (found.code, found.reason, found.request_id) == ("INTERNAL", "INTERNAL", "doomed")
    assert found.message == "internal error; the server's log has the details of request doomed"
    assert servers.wait_for(lambda: log.lines)
    [line] = log.lines
    assert (line["level"], line["status"], line["request_id"]) == ("error", "INTERNAL", "doomed")
    assert "secret" in str(line["exc_info"])


def test_many_calls_at_once_are_all_answered_or_told_to_come_back():
    with (
        servers.ServerProcess(max_calls=2, max_waiting=2, max_wait_seconds=5) as running,
        Connection(running.address) as connection,
    ):
        whole = request(strategy="random", budget={"count": 1})
        del whole.pool[:]
        whole.row_count = 200_000

        def one(_):
            try:
                return len(connection.select(whole, timeout=20).ranking.indices)
            except grpc.RpcError as error:
                return error.code()

        with ThreadPoolExecutor(40) as threads:
            results = list(threads.map(one, range(80)))
        assert set(results) <= {1, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert results.count(1) > 10
        assert len(connection.select(whole).ranking.indices) == 1


def test_a_call_that_waits_for_a_place_leaves_the_line_when_its_caller_goes(monkeypatch):
    limits = {"max_calls": 1, "max_waiting": 1, "max_wait_seconds": 20, "stall_seconds": 20}
    with (
        servers.in_process(monkeypatch, **limits) as server,
        Connection(server.address) as connection,
    ):
        done = threading.Event()

        def half():
            yield header(request(tensor(shape=[8, 2])))
            done.wait(10)

        holder = connection.select_stream(half())
        assert servers.wait_for(lambda: server.admission.held_bytes)
        waiting = connection.select_stream(stream(request()))
        assert servers.wait_for(lambda: server.admission._line)
        refused = refusal(lambda: connection.select_stream(stream(request()), timeout=5))
        assert (refused.reason, refused.retry_seconds) == ("BUSY", 1.0)
        waiting.cancel()
        assert servers.wait_for(lambda: not server.admission._line, 0.5)
        holder.cancel()
        done.set()
        assert servers.wait_for(lambda: server.admission.held_bytes == 0, 0.5)
