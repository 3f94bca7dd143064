"""Clients that flood: with streams, headers, pings, frames, and messages that grow when unpacked.

Each is bounded on its own connection; the server goes on for all others.
"""

import contextlib
import struct

import grpc
import h2.events
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from nextlabel import blocks
from nextlabel.v1 import service_pb2
from tests.rpc.calls import Connection, assert_unharmed, refusal, request
from tests.rpc.raw_http2 import RawConnection
from tests.servers import ServerProcess, wait_for

MAX_MESSAGE = 1 << 20
SERVICE = "/nextlabel.v1.QuerySelectionService/"
REFUSED_STREAM = 7
ENHANCE_YOUR_CALM = 11
# Types of frames.
HEADERS, SETTINGS, CONTINUATION = 1, 4, 9


@pytest.fixture(scope="module")
def running():
    with ServerProcess(max_message_bytes=MAX_MESSAGE) as server:
        with Connection(server.address) as connection:
            connection.select(request())  # what the first call loads is there
        yield server
        assert_unharmed(server)


@pytest.fixture
def raw(running):
    """A connection for a flood; whatever it brings, the server is well and no larger after it."""
    with RawConnection(running.address) as connection:
        before = running.memory_bytes
        yield connection
        with grpc.insecure_channel(running.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            health.Check(health_pb2.HealthCheckRequest(), timeout=2)
        with Connection(running.address) as other:
            assert list(other.select(request(), timeout=5).ranking.indices) == [0, 1]
    assert wait_for(lambda: running.memory_bytes < before + (48 << 20))


def frame(kind: int, stream: int, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, 0, stream) + content


def test_one_connection_leaves_half_of_the_threads_to_others(raw, running):
    silent = [raw.open_stream() for _ in range(raw.max_streams)]
    assert 32 < len(silent) < 200
    with Connection(running.address) as other:
        assert list(other.select(request(), timeout=5).ranking.indices) == [0, 1]
    raw.ignore_max_streams()
    more = raw.open_stream()
    reset = raw.await_event(h2.events.StreamReset, stream_id=more)
    assert reset.error_code == REFUSED_STREAM


def test_streams_that_are_reset_at_once_leave_nothing(raw):
    for _ in range(3000):
        raw.reset(raw.open_stream())


def test_pings_without_end_cost_the_connection(raw):
    for _ in range(4):
        raw.ping()
    ended = raw.await_event(h2.events.ConnectionTerminated)
    assert (ended.error_code, ended.additional_data) == (ENHANCE_YOUR_CALM, b"too_many_pings")


@pytest.mark.parametrize(("size", "status"), [(15 << 10, "0"), (17 << 10, "8"), (2 << 20, "8")])
def test_headers_are_of_at_most_16_kib(raw, size, status):
    more = tuple((f"x-{i}", "y" * 950) for i in range(size // 1000))
    stream = raw.open_stream(SERVICE + "GetServerInfo", more)
    raw.send_message(stream, b"", end=True)
    assert raw.status_of(stream) == status


def test_headers_that_never_end_are_refused_and_not_kept(raw):
    field = b"\x00\x05x-abc" + b"\x7f\xe1\x7c" + b"z" * 16_096  # a name, a length, a value
    raw.send_raw(frame(HEADERS, raw.next_stream, b"\x83\x86"))  # POST and http, and no end
    for _ in range(2000):
        raw.send_raw(frame(CONTINUATION, raw.next_stream, field[:16_384]))


def test_frames_that_say_nothing_are_answered_and_not_kept(raw):
    raw.send_raw(frame(SETTINGS, 0) * 20_000)


@pytest.mark.parametrize("data", [bytes(9000), b"\xff" * 9000, b"GET / HTTP/1.1\r\n\r\n"])
def test_bytes_that_are_no_frames_are_no_matter(raw, data):
    raw.send_raw(data)


def test_a_message_that_says_it_is_4_gib_is_refused_before_it_comes(raw):
    stream = raw.open_stream()
    raw.send_data(stream, struct.pack(">BI", 0, 2**32 - 1) + bytes(100))
    assert raw.status_of(stream) == "8"


def compressed(running, method, data):
    """The refusal of a message that is sent gzipped, for which the server takes little memory."""
    before = running.peak_memory_bytes
    with Connection(running.address) as connection:
        kind = "unary_unary" if method == "Select" else "stream_stream"
        call = getattr(connection.channel, kind)(SERVICE + method)
        sent = data if kind == "unary_unary" else iter([data])
        found = refusal(lambda: call(sent, timeout=20, compression=grpc.Compression.Gzip))
    assert running.peak_memory_bytes < before + (32 << 20)
    return found


@pytest.mark.parametrize("method", ["Select", "SelectStream"])
def test_a_message_that_grows_when_unpacked_is_as_large_as_it_then_is(running, method):
    """64 MiB of one unknown field, in 64 KiB: refused once it is over the limit, and not kept."""
    field = b"\x7a" + bytes([0x80, 0x80, 0x80, 0x20])  # its tag, and 64 MiB as a varint
    bomb = field + bytes(64 << 20)
    assert service_pb2.SelectRequest.FromString(bomb)
    found = compressed(running, method, bomb)
    assert found.code == "RESOURCE_EXHAUSTED"
    assert "larger than max" in found.message


def part(tag: bytes, content: bytes) -> bytes:
    return tag + blocks.varint(len(content)) + content


PARTS = 500_000
EMPTY = {
    "tensors of a pool": ("Select", b"\x12\x00" * PARTS),
    "models": ("Select", part(b"\x0a", b"\x32\x00" * PARTS)),
    "quotas": ("Select", part(b"\x0a", part(b"\x4a", b"\x12\x00" * PARTS))),
    "tensors of a block": ("SelectStream", part(b"\x1a", b"\x1a\x00" * PARTS)),
    "tensors of a header": ("SelectStream", part(b"\x0a", b"\x12\x00" * PARTS)),
}


@pytest.mark.parametrize("what", EMPTY)
def test_empty_parts_without_end_are_refused_before_they_are_objects(running, what):
    found = compressed(running, *EMPTY[what])
    assert found.code == "INVALID_ARGUMENT"
    assert found.violations == {"request": "a message of at most 32768 fields is right"}


def test_answers_that_nobody_reads_are_bounded_and_given_up():
    long = service_pb2.SelectRequest(
        spec={"strategy": "random", "budget": {"count": 1}, "return_all_scores": True},
        row_count=500_000,
    )
    with ServerProcess(memory_budget_bytes=64 << 20, stall_seconds=2) as server:
        with Connection(server.address) as connection:
            connection.select(long)
            before = server.memory_bytes
            with RawConnection(server.address) as unread:
                for _ in range(30):
                    stream = unread.open_stream(SERVICE + "Select")
                    unread.send_message(stream, long.SerializeToString(), end=True)
                server.wait_for_call(status="RESOURCE_EXHAUSTED")
                assert refusal(lambda: connection.select(long)).reason == "BUSY"
                assert list(connection.select(request()).ranking.indices) == [0, 1]
                assert server.memory_bytes < before + (120 << 20)

                def has_room():
                    with contextlib.suppress(grpc.RpcError):
                        return len(connection.select(long).all_scores.scores)

                assert wait_for(has_room, 10)
        assert len(server.calls(status="OK", strategy="random")) < 12
