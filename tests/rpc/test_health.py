"""Health for callers who are silent, long-winded, or do not read: nobody else waits for them."""

import time

import grpc
import h2.events
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from nextlabel_server.rpc import health
from tests.rpc.calls import Connection, assert_unharmed, refusal, request
from tests.rpc.raw_http2 import RawConnection
from tests.servers import ServerProcess, in_process

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
MAX_MESSAGE = 16 << 20


@pytest.fixture(scope="module")
def running():
    limits = {"max_message_bytes": MAX_MESSAGE, "health_address": "127.0.0.1:0"}
    with ServerProcess(**limits) as server:
        with Connection(server.address) as connection:
            connection.select(request())  # what the first call loads is there
        yield server
        assert_unharmed(server)


def channel(address):
    """A connection of its own."""
    return grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])


def status(address, seconds):
    with channel(address) as opened:
        asked = health_pb2.HealthCheckRequest()
        return health_pb2_grpc.HealthStub(opened).Check(asked, timeout=seconds).status


def watch(opened, service="", **options):
    asked = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(opened).Watch(asked, **{"timeout": 30, **options})


@pytest.mark.parametrize("path", [CHECK, WATCH])
def test_a_name_may_be_long_but_not_longer_than_any_is(running, path):
    sizes = 2000, health.MESSAGE_BYTES
    asked = [health_pb2.HealthCheckRequest(service="x" * size) for size in sizes]
    long, longer = (one.SerializeToString() for one in asked)
    with channel(running.address) as opened:
        ask = opened.unary_stream(path)
        if path == CHECK:
            assert refusal(lambda: ask(long, timeout=5)).code == "NOT_FOUND"
        else:
            answer = next(ask(long, timeout=5))
            assert health_pb2.HealthCheckResponse.FromString(answer).status == UNKNOWN
        found = refusal(lambda: ask(longer, timeout=5))
    assert (found.code, found.reason) == ("RESOURCE_EXHAUSTED", "OVER_LIMIT")
    assert found.message == "a health check takes at most 4096 bytes"
    assert found.retry_seconds is None


def test_names_as_large_as_a_message_may_be_are_not_kept(running):
    """Each is 16 MiB, and 16 KiB as it is sent."""
    before = running.memory_bytes
    with channel(running.address) as opened:
        long = "x" * (MAX_MESSAGE - 100)
        watches = [watch(opened, long, compression=grpc.Compression.Gzip) for _ in range(20)]
        for each in watches:
            assert refusal(lambda each=each: each).code == "RESOURCE_EXHAUSTED"
        assert running.settled_memory_bytes() < before + (48 << 20)


def test_silent_health_checks_do_not_keep_others_from_an_answer(running):
    [started] = running.events("serving")
    with RawConnection(running.address) as raw:
        quiet = [raw.open_stream(path) for path in (CHECK, WATCH) for _ in range(50)]
        started_at = time.monotonic()
        assert status(running.address, seconds=3) == SERVING
        assert status(started["health_address"], seconds=3) == SERVING
        with channel(running.address) as opened:
            assert next(watch(opened)).status == SERVING
        assert time.monotonic() - started_at < 3
        for stream in quiet:
            assert raw.await_event(h2.events.StreamReset, stream_id=stream)


def test_silent_health_checks_of_a_whole_connection_cost_others_a_second(running):
    with RawConnection(running.address) as raw:
        for _ in range(100):
            raw.open_stream(CHECK)
        assert status(running.address, seconds=3) == SERVING


def watch_unread(raw):
    stream = raw.open_stream(WATCH)
    raw.send_message(stream, b"", end=True)
    return stream


def test_watchers_who_do_not_read_keep_nobody_from_an_answer_nor_the_server_from_its_end():
    with (
        ServerProcess(drain_seconds=0.5, grace_seconds=1) as running,
        RawConnection(running.address) as raw,
        channel(running.address) as opened,
    ):
        watching = watch(opened)
        assert next(watching).status == SERVING
        early = watch_unread(raw)
        assert raw.await_event(h2.events.DataReceived, stream_id=early)
        raw.take_no_data()
        for _ in range(20):
            assert raw.await_event(h2.events.ResponseReceived, stream_id=watch_unread(raw))
        assert status(running.address, seconds=2) == SERVING
        with channel(running.address) as other:
            assert next(watch(other, timeout=2)).status == SERVING
        running.terminate()
        asked_at = time.monotonic()
        assert next(watching).status == NOT_SERVING
        assert time.monotonic() - asked_at < 2
        assert list(watching) == []  # and a proper end
        assert running.wait(5) == 0


def test_a_watcher_who_does_not_read_is_cut_off(monkeypatch):
    monkeypatch.setattr(health, "SEND_SECONDS", 0.3)
    with in_process() as server, RawConnection(server.address) as raw:
        raw.take_no_data()
        assert raw.status_of(watch_unread(raw)) == "1"
