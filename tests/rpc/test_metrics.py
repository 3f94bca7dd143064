"""What Prometheus hears of a server."""

import re
import shutil
import subprocess
import threading
import urllib.error

import numpy as np
import pytest
from onnx import helper
from prometheus_client.parser import text_string_to_metric_families

from nextlabel.v1 import service_pb2
from nextlabel_server.app import SERVICE, AddressInUse
from nextlabel_server.rpc import metrics
from nextlabel_server.rpc.spent import Spent, Time
from tests import scrapes, servers
from tests.inference import graphs
from tests.rpc.calls import Connection, header, joined, refusal, request, stream, tensor

PROMTOOL = shutil.which("promtool")
SELECT = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": "Select"}
STREAM = {"grpc_type": "bidi_stream", "grpc_service": SERVICE, "grpc_method": "SelectStream"}
BY_ROW = {"strategy": "entropy", "model": ""}


def fails_on_big_numbers():
    """A model that gives row x of a table of two."""
    table = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    node = helper.make_node("Gather", ["table", "x"], ["probabilities"])
    return graphs.model(
        [node],
        [graphs.value("x", ["rows"], graphs.INT64)],
        [graphs.value("probabilities", ["rows", 2])],
        [graphs.constant("table", table)],
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    graphs.save(folder, "table", fails_on_big_numbers())
    graphs.save(folder, "broken", b"no model")
    with servers.ServerProcess(models=[str(folder)], metrics_address="127.0.0.1:0") as running:
        yield running


@pytest.fixture(scope="module")
def connection(running):
    with Connection(running.address) as opened:
        yield opened


@pytest.fixture
def scrape(running):
    return running.events("serving")[0]["metrics_address"]


@pytest.fixture
def more(scrape):
    """By how much a metric grew since the test began; waits until it is `expected`."""
    before = scrapes.samples(scrape)

    def grown(expected, name, **labels):
        def difference():
            was = sum(v for found, v in before.get(name, []) if labels.items() <= found.items())
            return scrapes.total(scrape, name, **labels) - was

        servers.wait_for(lambda: difference() == expected)
        return difference()

    return grown


def by_table(*rows, models=("table",), **changes):
    array = np.array(rows, np.int64)
    asked = request(inputs=[tensor("x", array)], models=[{"name": n} for n in models], **changes)
    del asked.pool[:]
    return asked


def test_calls_are_counted_by_method_and_code(connection, more):
    for _ in range(3):
        connection.select(request())
    joined(connection.select_stream(stream(request())))
    connection.stub.ListModels(service_pb2.ListModelsRequest())
    refusal(lambda: connection.select(request(strategy="nope")))
    assert more(4, "grpc_server_started_total", **SELECT) == 4
    assert more(3, "grpc_server_handled_total", **SELECT, grpc_code="OK") == 3
    assert more(1, "grpc_server_handled_total", **SELECT, grpc_code="NOT_FOUND") == 1
    assert more(1, "grpc_server_handled_total", **STREAM, grpc_code="OK") == 1
    assert more(1, "grpc_server_handled_total", grpc_method="ListModels", grpc_code="OK") == 1
    assert more(4, "grpc_server_handling_seconds_count", **SELECT) == 4
    assert more(4, "grpc_server_handling_seconds_bucket", **SELECT, le="60.0") == 4


def test_selections_are_counted_by_strategy_and_model(connection, more):
    connection.select(request())
    joined(connection.select_stream(stream(request())))
    whole = by_table(0, 1, 1)
    connection.select(whole)
    connection.select(by_table(0, 1, models=("table", "table"), strategy="vote_entropy"))
    assert more(8, "nextlabel_rows_total", **BY_ROW) == 8
    by_model = {"strategy": "entropy", "model": "table"}
    assert more(3, "nextlabel_rows_total", **by_model) == 3
    committee = {"strategy": "vote_entropy", "model": "(committee)"}
    assert more(2, "nextlabel_rows_total", **committee) == 2
    size = whole.ByteSize()
    assert more(size, "nextlabel_received_bytes_total", **by_model) == size
    assert more(1, "nextlabel_receive_seconds_count", **BY_ROW) == 1
    for part in ("queue", "selection"):
        assert more(2, f"nextlabel_{part}_seconds_count", **BY_ROW) == 2
        assert more(1, f"nextlabel_{part}_seconds_count", **by_model) == 1
    assert more(0, "nextlabel_inference_seconds_count", **BY_ROW) == 0
    assert more(1, "nextlabel_inference_seconds_count", **by_model) == 1


def test_refused_calls_are_counted_by_reason(connection, more):
    refusal(lambda: connection.select(request(budget={"count": 0})))
    refusal(lambda: connection.select(by_table(0, models=("broken",))))
    refusal(lambda: connection.channel.unary_unary(f"/{SERVICE}/Select")(b"\xff"))
    name = "nextlabel_refused_calls_total"
    assert more(1, name, reason="INVALID_REQUEST", **BY_ROW) == 1
    assert more(1, name, reason="MODEL_UNFIT", strategy="entropy", model="broken") == 1
    assert more(1, name, reason="INVALID_REQUEST", strategy="", model="") == 1


def test_what_callers_make_up_becomes_no_label(connection, more, scrape):
    for i in range(20):
        refusal(lambda i=i: connection.select(request(strategy=f"made-up-{i}")))
        refusal(lambda i=i: connection.select(by_table(0, models=(f"made-up-{i}",))))
        many = ("table",) * i + (f"made-up-{i}", "table")
        refusal(lambda many=many: connection.select(by_table(0, models=many)))
    assert more(20, "nextlabel_refused_calls_total", strategy="(unknown)") == 20
    assert more(20, "nextlabel_refused_calls_total", model="(unknown)") == 20
    assert more(20, "nextlabel_refused_calls_total", model="(committee)") == 20
    assert "made-up" not in scrapes.text(scrape)


def test_models_are_told_with_whether_they_can_be_used(scrape):
    assert scrapes.total(scrape, "nextlabel_model_usable", model="table", version="1") == 1
    assert ({"model": "broken", "version": "1"}, 0) in scrapes.samples(scrape)[
        "nextlabel_model_usable"
    ]
    assert scrapes.total(scrape, "nextlabel_model_loads_total") == 1
    assert scrapes.total(scrape, "nextlabel_model_loads_total", model="table") == 1
    assert scrapes.total(scrape, "nextlabel_model_load_failures_total", model="broken") == 1


def test_every_metric_is_declared_and_told_with_its_labels(connection, scrape):
    connection.select(by_table(0, 1))
    joined(connection.select_stream(stream(request())))
    refusal(lambda: connection.select(request(strategy="nope")))
    told = {}
    for family in text_string_to_metric_families(scrapes.text(scrape)):
        if family.name.startswith(("grpc_", "nextlabel_")):
            labels = {frozenset(set(sample.labels) - {"le"}) for sample in family.samples}
            suffix = "_total" if family.type == "counter" else ""
            told[family.name + suffix] = (family.type, family.documentation, labels)
    assert told == {
        one.name: (one.kind, one.help, {frozenset(one.labels)}) for one in metrics.METRICS
    }


def test_the_process_is_measured_too(scrape):
    told = scrapes.samples(scrape)
    assert told["process_resident_memory_bytes"][0][1] > 1 << 20
    assert {"process_cpu_seconds_total", "process_open_fds", "process_max_fds"} <= set(told)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_finds_nothing_wrong_with_the_names(connection, scrape):
    connection.select(request())
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"],
        input=scrapes.text(scrape),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_at_work_and_what_waits_is_told_under_load():
    limits = {"max_calls": 1, "max_waiting": 1, "max_wait_seconds": 20, "compute_threads": 1}
    with (
        servers.in_process(metrics_address="127.0.0.1:0", **limits) as server,
        Connection(server.address) as connection,
    ):
        done = threading.Event()

        def half():
            yield header(request(tensor(shape=[8, 2])))
            done.wait(20)

        def told(name):
            return scrapes.total(server.metrics_address, f"nextlabel_{name}")

        assert told("selections_in_flight") == told("queue_length") == told("reserved_bytes") == 0
        holder = connection.select_stream(half())
        assert servers.wait_for(lambda: told("selections_in_flight") == 1)
        assert 8 << 20 <= told("reserved_bytes") <= told("memory_budget_bytes")
        waiting = connection.select_stream(stream(request()))
        assert servers.wait_for(lambda: told("queue_length") == 1)
        assert told("queue_length_limit") == told("selections_in_flight_limit") == 1
        refusal(lambda: connection.select_stream(stream(request())))
        assert servers.wait_for(lambda: told("refused_calls_total") == 1)
        holder.cancel()
        done.set()
        joined(waiting)
        assert servers.wait_for(lambda: told("selections_in_flight") == told("queue_length") == 0)


def test_metrics_are_told_until_a_drained_server_ends():
    options = {"metrics_address": "127.0.0.1:0", "drain_seconds": 1.0}
    with servers.ServerProcess(**options) as server, Connection(server.address) as connection:
        address = server.events("serving")[0]["metrics_address"]
        server.terminate()
        assert servers.wait_for(lambda: server.events("draining"))
        connection.select(request())
        assert servers.wait_for(
            lambda: scrapes.total(address, "grpc_server_handled_total", grpc_code="OK") == 1
        )
        assert server.wait() == 0
        with pytest.raises(urllib.error.URLError):
            scrapes.text(address)


def test_nothing_listens_unless_it_is_asked_for(server):
    assert server.metrics_address == ""


def test_a_metrics_port_in_use_is_said_so(server):
    with (
        pytest.raises(AddressInUse, match=f"cannot listen on {re.escape(server.address)}: it is"),
        servers.in_process(metrics_address=server.address),
    ):
        pass


def test_every_line_of_a_call_names_the_request(connection, running):
    found = refusal(lambda: connection.select(by_table(0, 7, request_id="out of the table")))
    assert found.code == "FAILED_PRECONDITION"
    running.wait_for_call(request_id="out of the table")
    lines = [line for line in running.log if line.get("request_id") == "out of the table"]
    assert [line["logger"] for line in lines] == ["nextlabel_server.inference.model", "nextlabel"]


def test_time_is_counted_from_the_first_moment_to_the_last(monkeypatch):
    clock = iter([4.0, 6.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    spent = Spent()
    spent.add("queue", 3.0)
    spent.add("queue", 2.0)
    assert spent.parts == {"queue": Time(began=2.0, ended=6.0, seconds=5.0)}
    assert (spent.seconds("queue"), spent.seconds("inference")) == (5.0, 0.0)
