"""Small calls beside large ones, and callers that hold on to the server without a word."""

import threading
from contextlib import ExitStack
from functools import partial
from unittest import mock

import grpc
import h2.events
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from nextlabel_server import app
from nextlabel_server.rpc import reflecting, turns
from nextlabel_server.rpc.calls import Calls
from nextlabel_server.rpc.parsing import ParsingInterceptor
from nextlabel_server.rpc.watchdog import Watchdog
from tests import servers
from tests.rpc.calls import Connection, block, header, joined, refusal, request, stream, tensor
from tests.rpc.raw_http2 import RawConnection

HALF = np.full((1, 2), 0.5, np.float32)
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SELECT = "/nextlabel.v1.QuerySelectionService/Select"


@pytest.fixture
def held():
    """Set when the test is over: until then senders are silent and gates are taken."""
    over = threading.Event()
    yield over
    over.set()


def take(gate, threads, over):
    """Keeps every thread of a gate busy."""
    begun = threading.Barrier(threads + 1)

    def work():
        begun.wait(5)
        over.wait(20)

    for _ in range(threads):
        gate.submit(work)
    begun.wait(5)


def silent(over):
    over.wait(20)
    yield from ()


def half_a_stream(over):
    yield header(request(tensor(shape=[8, 2])))
    over.wait(20)


def whole_pool(rows):
    x = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    return request(tensor("embeddings", x), strategy="k_center")


def test_small_calls_are_answered_while_large_ones_hold_every_place_and_thread(held, monkeypatch):
    with (
        servers.in_process(monkeypatch, max_calls=1, max_waiting=0, compute_threads=2) as server,
        Connection(server.address) as connection,
    ):
        for gate in (server._gates.short, server._gates.long):
            take(gate, 2, held)
        large = connection.select_stream(half_a_stream(held))
        assert servers.wait_for(lambda: server.admission.held_bytes)
        found = refusal(lambda: connection.select_stream(stream(request()), timeout=5))
        assert found.reason == "BUSY"
        assert list(connection.select(request(), timeout=5).ranking.indices) == [0, 1]
        large.cancel()
        held.set()


def test_streams_and_small_pools_do_not_wait_for_long_selections(held):
    with (
        servers.in_process(compute_threads=1) as server,
        Connection(server.address) as connection,
    ):
        take(server._gates.long, 1, held)
        for whole in (request(), whole_pool(rows=12)):
            answer = joined(connection.select_stream(stream(whole), timeout=5))
            assert len(answer.indices) == 2
        held.set()


def test_a_call_that_waits_for_a_thread_gives_its_memory_back_when_its_caller_goes(
    held, monkeypatch
):
    with (
        servers.in_process(monkeypatch, compute_threads=1) as server,
        Connection(server.address) as connection,
    ):
        take(server._gates.long, 1, held)
        waiting = connection.select_stream(stream(whole_pool(rows=200_000)))
        assert servers.wait_for(lambda: server._gates.long._work_queue.qsize() == 1)
        waiting.cancel()
        assert servers.wait_for(lambda: server.admission.held_bytes == 0, 0.5)
        held.set()


@pytest.mark.parametrize("strategy", ["facility_location", "k_means", "prob_cover"])
def test_a_long_selection_stops_when_its_caller_goes(strategy, monkeypatch):
    rows = np.random.default_rng(0).random((4000, 250), np.float32)  # a message of 4 MB
    whole = request(tensor("embeddings", rows), strategy=strategy, budget={"count": 1000})
    with servers.in_process(monkeypatch) as server, Connection(server.address) as connection:
        call = connection.select_stream(stream(whole))
        assert servers.wait_for(lambda: server._gates.long._threads)
        assert server.admission.held_bytes > 0
        call.cancel()
        assert servers.wait_for(lambda: server.admission.held_bytes == 0, 0.5)


def committees(rows, targets):
    """What `epig` takes hours to score, in a message of some MB."""
    one = np.full((1, 2, 2), 0.5, np.float16)
    return request(
        tensor("committee", one.repeat(rows, axis=0)),
        references=[tensor("target_committee", one.repeat(targets, axis=0))],
        strategy="epig",
    )


@pytest.mark.parametrize(
    "whole", [committees(100_000, 1_000), committees(16, 200_000)], ids=["rows", "targets"]
)
def test_rows_that_take_long_leave_turns_to_others_and_stop_when_their_caller_goes(
    whole, monkeypatch
):
    monkeypatch.setattr(turns, "HELD_SECONDS", 0.0)
    with (
        servers.in_process(monkeypatch, compute_threads=1) as server,
        Connection(server.address) as connection,
    ):
        long = [connection.select_stream(stream(whole)) for _ in range(2)]
        assert servers.wait_for(lambda: server._gates.turns.waiting)
        for _ in range(3):
            assert len(joined(connection.select_stream(stream(request()), timeout=5)).indices) == 2
        assert server.admission.calls == 2
        for call in long:
            call.cancel()
        assert servers.wait_for(lambda: server.admission.held_bytes == 0, 0.5)


def test_a_server_that_stops_does_not_wait_for_rows_that_take_long(monkeypatch):
    with (
        servers.in_process(monkeypatch) as server,
        Connection(server.address) as connection,
    ):
        _call = connection.select_stream(stream(committees(100_000, 200_000)))
        assert servers.wait_for(lambda: server.admission.calls)
        stopping = threading.Thread(target=server.stop, args=(0.1,), daemon=True)
        stopping.start()
        stopping.join(5)
        assert not stopping.is_alive()


CLOSE = {"budget": {"count": 5_000}, "constraints": {"min_distance": 1e-9}}


@pytest.mark.parametrize(
    "whole",
    [
        committees(1_000, 10_000),
        request(
            tensor("probabilities", HALF.repeat(5_000, axis=0)),
            tensor("embeddings", np.arange(5_000, dtype=np.float32)[:, None]),
            **CLOSE,
        ),
    ],
    ids=["rows", "picks"],
)
def test_what_takes_long_is_no_small_call_however_small_it_is(whole, held, monkeypatch):
    with (
        servers.in_process(monkeypatch, max_calls=1, max_waiting=0) as server,
        Connection(server.address) as connection,
    ):
        _large = connection.select_stream(half_a_stream(held))
        assert servers.wait_for(lambda: server.admission.calls)
        assert refusal(lambda: connection.select(whole, timeout=5)).reason == "BUSY"
        assert len(connection.select(request(), timeout=5).ranking.indices) == 2
        held.set()


def test_a_small_pool_whose_picks_take_long_is_not_in_the_way_of_others(held):
    x = np.arange(5_000, dtype=np.float32)[:, None]
    slow = request(tensor("embeddings", x), strategy="k_center", **CLOSE)
    with (
        servers.in_process(compute_threads=1) as server,
        Connection(server.address) as connection,
    ):
        take(server._gates.long, 1, held)
        waiting = connection.select_stream(stream(slow))
        assert servers.wait_for(lambda: server._gates.long._work_queue.qsize() == 1)
        assert len(joined(connection.select_stream(stream(whole_pool(rows=12)))).indices) == 2
        waiting.cancel()
        held.set()


def test_a_stream_without_a_header_is_cut_off(held):
    with (
        servers.in_process(stall_seconds=0.2) as server,
        Connection(server.address) as connection,
    ):
        found = refusal(lambda: connection.select_stream(silent(held), timeout=5))
        assert (found.code, found.reason) == ("DEADLINE_EXCEEDED", "STALLED")


def test_a_sender_that_trickles_is_cut_off(held):
    limits = {"stall_seconds": 0.5, "min_bytes_per_second": 1000}

    def trickle():
        yield header(request(tensor(shape=[1_000_000, 2])))
        for row in range(1_000_000):
            if held.wait(0.02):
                return
            yield block(row, 1, HALF)  # 8 bytes

    with servers.in_process(**limits) as server, Connection(server.address) as connection:
        found = refusal(lambda: connection.select_stream(trickle(), timeout=10))
        assert (found.code, found.reason) == ("DEADLINE_EXCEEDED", "STALLED")


def test_a_single_request_that_never_comes_is_cut_off_and_logged(held):
    with (
        servers.ServerProcess(stall_seconds=0.2) as server,
        Connection(server.address) as connection,
    ):
        call = connection.channel.stream_unary(SELECT)
        found = refusal(lambda: call(silent(held), timeout=5))
        assert found.code == "CANCELLED"
        server.wait_for_call(method="Select", status="CANCELLED")


def test_a_call_that_was_cut_off_counts_as_cancelled_before_grpc_has_noticed(held):
    context = mock.Mock()
    context.is_active.return_value = True
    context.cancel.side_effect = held.set
    context.abort_with_status.side_effect = grpc.RpcError
    ended = []
    watchdog = Watchdog()
    calls = Calls([lambda call, _: partial(ended.append, call)])
    interceptor = ParsingInterceptor({}, watchdog, {SELECT: 0.1}, calls)
    method = grpc.unary_unary_rpc_method_handler(None, bytes)
    guarded = interceptor.intercept_service(lambda _: method, mock.Mock(method=SELECT))
    with pytest.raises(grpc.RpcError):
        guarded.stream_unary(silent(held), context)
    assert [call.code for call in ended] == [grpc.StatusCode.CANCELLED]
    watchdog.close()


def test_silent_reflection_is_cut_off_and_takes_no_thread_from_calls(monkeypatch):
    monkeypatch.setattr(reflecting, "SILENCE_SECONDS", 1.0)
    with ExitStack() as stack:
        server = stack.enter_context(servers.in_process())
        connection = stack.enter_context(Connection(server.address))
        raws = [stack.enter_context(RawConnection(server.address)) for _ in range(3)]
        quiet = [(raw, raw.open_stream(REFLECT)) for raw in raws for _ in range(raw.max_streams)]
        assert list(connection.select(request(), timeout=5).ranking.indices) == [0, 1]
        assert {raw.status_of(stream) for raw, stream in quiet[-10:]} == {"8"}  # BUSY
        raw, stream = quiet[0]
        assert raw.await_event(h2.events.StreamReset, stream_id=stream)
        assert servers.wait_for(lambda: not server._reflecting.all_busy)
        listing = reflection_pb2.ServerReflectionRequest(list_services="")
        stub = reflection_pb2_grpc.ServerReflectionStub(connection.channel)
        [listed] = stub.ServerReflectionInfo(iter([listing]), timeout=5)
        assert listed.list_services_response.service


def test_reflection_that_falls_silent_or_does_not_read_is_cut_off(monkeypatch):
    monkeypatch.setattr(reflecting, "SILENCE_SECONDS", 0.3)
    listing = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    with servers.in_process() as server, RawConnection(server.address) as raw:
        for take in (lambda: None, raw.take_no_data):
            take()
            stream = raw.open_stream(REFLECT)
            raw.send_message(stream, listing)
            assert raw.status_of(stream) == "1"


def test_calls_beyond_the_threads_are_refused_at_once_and_health_answers(held, monkeypatch):
    monkeypatch.setattr(app, "SILENT_CALLS", 0)
    limits = {"max_calls": 1, "max_waiting": 0, "compute_threads": 1}
    with ExitStack() as stack:
        server = stack.enter_context(servers.in_process(**limits))
        # Half of the threads is what one connection may have; these are not pooled.
        one, other, connection = (
            stack.enter_context(Connection(server.address, use_local_subchannel_pool=1))
            for _ in range(3)
        )
        quiet = [each.select_stream(silent(held)) for each in (one, other)]
        assert servers.wait_for(lambda: server._handling.all_busy)
        found = refusal(lambda: connection.select(request(), timeout=5))
        assert (found.code, found.reason, found.retry_seconds) == (
            "RESOURCE_EXHAUSTED",
            "BUSY",
            1.0,
        )
        stub = health_pb2_grpc.HealthStub(connection.channel)
        stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        for call in quiet:
            call.cancel()
        assert servers.wait_for(lambda: not server._handling.all_busy)
        assert len(connection.select(request(), timeout=5).ranking.indices) == 2
