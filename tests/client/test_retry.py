"""Servers that die, drain, are full or absent: what the clients make of them."""

import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import grpc
import numpy as np
import pytest

from nextlabel import (
    BusyError,
    Client,
    DeadlineError,
    InvalidRequestError,
    LimitError,
    UnavailableError,
)
from nextlabel.v1 import selection_pb2, service_pb2, service_pb2_grpc
from tests.servers import ServerProcess, wait_for

NOBODY = "127.0.0.1:1"
BATCH_ROWS = 26_000


class Batches:
    """A pool in batches of about 1 MiB, to be read any number of times.

    The first time, `event` happens before batch number `at`.
    """

    def __init__(self, rows, at, event):
        self._rows, self._at, self._event = rows, at, event
        self.readings = 0

    def __iter__(self):
        self.readings += 1
        # The client looks at the first batch before it sends anything.
        return self._read(happens=self.readings == 2)

    def _read(self, *, happens):
        for number, start in enumerate(range(0, len(self._rows), BATCH_ROWS)):
            if happens and number == self._at:
                self._event()
            yield self._rows[start : start + BATCH_ROWS]


@pytest.fixture(scope="module")
def forty_megabytes():
    rng = np.random.default_rng(5)
    raw = rng.random((1_000_000, 10), np.float32)
    raw /= raw.sum(axis=1, keepdims=True)
    return raw


@pytest.fixture
def pair():
    """Two servers, and the address of both."""
    with ServerProcess(grace_seconds=5) as one, ServerProcess(grace_seconds=5) as other:
        yield (one, other), f"{one.address},{other.address}"


def streamed(client, **options):
    """A call that takes its place among the large ones."""
    pool = Batches(np.full((4, 2), 0.5), -1, None)
    return client.select(pool, strategy="entropy", budget=1, **options)


def small(client, **options):
    return client.select([[0.5, 0.5], [1.0, 0.0]], strategy="entropy", budget=1, **options)


def about_to_serve(client, servers):
    """The server whose turn is next, and the other one; calls alternate."""
    number = 0

    def served_last():
        nonlocal number
        name, number = f"turn-{number}", number + 1
        small(client, request_id=name)
        assert wait_for(lambda: any(server.calls(request_id=name) for server in servers))
        return next(server for server in servers if server.calls(request_id=name))

    assert wait_for(lambda: served_last() is not served_last())
    one, other = servers
    return (other, one) if served_last() is one else (one, other)


def ended(servers, count, **fields):
    """How many of so many calls each server had, once their lines are written."""
    lines = [server.calls for server in servers]
    assert wait_for(lambda: sum(len(calls(**fields)) for calls in lines) >= count)
    return [len(calls(**fields)) for calls in lines]


@contextmanager
def occupied(server):
    """Holds a place of the server for as long as the block lasts."""
    release = threading.Event()
    spec = selection_pb2.SelectionSpec(strategy="random", budget={"count": 1}, request_id="holder")
    header = service_pb2.SelectStreamHeader(spec=spec, row_count=4_000)

    def messages():
        yield service_pb2.SelectStreamRequest(header=header)
        release.wait(20)

    with grpc.insecure_channel(server.address) as channel:
        stub = service_pb2_grpc.QuerySelectionServiceStub(channel)
        call = stub.SelectStream(messages())
        while not busy(stub):
            if call.done():  # a probe had taken the place
                call = stub.SelectStream(messages())
        try:
            yield
        finally:
            release.set()
            assert next(call).ranking.indices


def busy(stub):
    spec = selection_pb2.SelectionSpec(strategy="random", budget={"count": 1}, request_id="probe")
    try:
        header = service_pb2.SelectStreamHeader(spec=spec, row_count=1)
        list(stub.SelectStream(iter([service_pb2.SelectStreamRequest(header=header)])))
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    return False


def test_a_server_killed_in_mid_stream_loses_nothing(open_client, pair, forty_megabytes):
    servers, address = pair
    with open_client(address, timeout=60) as client:
        victim, survivor = about_to_serve(client, servers)
        pool = Batches(forty_megabytes, 20, victim.kill)
        picked = client.select(pool, strategy="margin", budget=100, request_id="lost", seed=1)
        again = client.select(forty_megabytes, strategy="margin", budget=100, seed=1)
    assert not victim.alive
    assert pool.readings == 3
    survivor.wait_for_call(request_id="lost", status="OK", rows=1_000_000)
    assert picked.indices.tolist() == again.indices.tolist()
    assert picked.scores.tolist() == again.scores.tolist()


def test_a_pool_that_can_be_read_once_is_not_tried_again(open_client, pair, forty_megabytes):
    servers, address = pair
    with open_client(address, timeout=60) as client:
        victim, survivor = about_to_serve(client, servers)
        pool = Batches(forty_megabytes, 20, victim.kill)
        iter(pool)
        with pytest.raises(UnavailableError, match="can be read only once") as caught:
            client.select(iter(pool), strategy="margin", budget=100, request_id="lost")
        assert address in str(caught.value)
        assert len(small(client)) == 1
    assert not survivor.calls(request_id="lost")


def test_a_server_that_drains_finishes_its_calls(open_client, pair, forty_megabytes):
    servers, address = pair
    with open_client(address, timeout=60) as client:
        leaving, staying = about_to_serve(client, servers)

        def drain():
            leaving.terminate()
            assert wait_for(lambda: leaving.events("draining"))

        pool = Batches(forty_megabytes, 20, drain)
        picked = client.select(pool, strategy="margin", budget=100, request_id="drained")
        assert len(small(client)) == 1
        assert leaving.wait(3) == 0  # sooner than its grace, although the client is connected
    assert pool.readings == 2
    assert picked.row_count == 1_000_000
    assert leaving.calls(request_id="drained", status="OK")
    assert not staying.calls(request_id="drained")


def test_a_call_that_outlives_the_grace_is_tried_on_another_server(open_client, forty_megabytes):
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(grace_seconds=0.1)) for _ in range(2)]
        client = stack.enter_context(
            open_client(",".join(server.address for server in servers), timeout=60)
        )
        leaving, staying = about_to_serve(client, servers)

        def drain():
            leaving.terminate()
            leaving.wait()

        pool = Batches(forty_megabytes[:300_000], 5, drain)
        picked = client.select(pool, strategy="margin", budget=9, request_id="outlived")
        staying.wait_for_call(request_id="outlived", status="OK")
    assert picked.row_count == 300_000
    assert pool.readings == 3


def test_a_refusal_arrives_while_the_pool_is_still_being_sent(open_client, server_process):
    rows = np.full((BATCH_ROWS, 10), 0.1, np.float32)
    bad = np.full((BATCH_ROWS, 10), 0.2, np.float32)

    def batches():
        yield from (rows, bad)
        for _ in range(200):
            yield rows

    says = f"probabilities: row {BATCH_ROWS} sums to 2; 1 within"
    with open_client(server_process.address) as client:
        for _ in range(3):
            with pytest.raises(InvalidRequestError, match=says):
                client.select(batches(), strategy="margin", budget=1)


def test_calls_are_spread_over_all_servers(open_client, pair):
    servers, address = pair
    with open_client(address) as client:
        about_to_serve(client, servers)
        for _ in range(20):
            small(client, request_id="spread")
    assert ended(servers, 20, request_id="spread") == [10, 10]


def test_a_server_that_does_not_serve_gets_no_calls(open_client):
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(drain_seconds=20)) for _ in range(2)]
        client = stack.enter_context(open_client(",".join(s.address for s in servers)))
        leaving, staying = about_to_serve(client, servers)
        leaving.terminate()
        assert wait_for(lambda: leaving.events("draining"))
        probes = (f"probe-{number}" for number in range(1000))

        def heard_of_it():
            name = next(probes)
            for _ in range(4):
                small(client, request_id=name)
            return ended([leaving, staying], 4, request_id=name) == [0, 4]

        assert wait_for(heard_of_it)
        for _ in range(10):
            small(client, request_id="after")
        assert leaving.alive
        assert ended([leaving, staying], 10, request_id="after") == [0, 10]


def test_a_server_on_its_own_is_asked_for_as_long_as_it_answers(open_client):
    # What its health says may be that of one of many, behind a balancer with this address.
    with ServerProcess(drain_seconds=20) as draining, open_client(draining.address) as client:
        small(client)
        draining.terminate()
        assert wait_for(lambda: draining.events("draining"))
        for _ in range(10):
            small(client, request_id="last")
        assert ended([draining], 10, request_id="last") == [10]


@pytest.fixture(scope="module")
def narrow():
    """A server with room for one call, and for one that waits a moment."""
    with ServerProcess(max_calls=1, max_waiting=0, max_rows=5_000) as running:
        yield running


def test_a_busy_server_is_asked_again_when_it_said(open_client, narrow):
    name = f"patient-{open_client.__name__}"
    with open_client(narrow.address, timeout=20) as client, ExitStack() as stack:
        stack.enter_context(occupied(narrow))
        threading.Timer(0.3, stack.close).start()
        started = time.monotonic()
        assert len(streamed(client, request_id=name)) == 1
        waited = time.monotonic() - started
    assert 1.0 <= waited < 5
    narrow.wait_for_call(request_id=name, status="OK")  # its line comes after the answer
    refused, answered = narrow.calls(request_id=name)[-2:]
    assert (refused["status"], answered["status"]) == ("RESOURCE_EXHAUSTED", "OK")


def test_a_server_that_stays_busy_is_given_up_in_time(open_client, narrow):
    with open_client(narrow.address) as client, occupied(narrow):
        started = time.monotonic()
        with pytest.raises(BusyError) as caught:
            streamed(client, timeout=0.8)
        assert time.monotonic() - started < 0.8
    assert caught.value.retry_after == 1.0
    assert caught.value.reason == "BUSY"


def test_a_pool_over_a_limit_is_sent_once(open_client, narrow):
    name = f"over-{open_client.__name__}"
    pool = np.full((5001, 2), 0.5)
    says = "5001 rows; this server takes 5000"
    with open_client(narrow.address) as client, pytest.raises(LimitError, match=says):
        client.select(pool, strategy="entropy", budget=1, request_id=name)
    narrow.wait_for_call(request_id=name)
    assert len(narrow.calls(request_id=name)) == 1


def test_a_wrong_request_is_sent_once(open_client, narrow):
    name = f"wrong-{open_client.__name__}"
    with open_client(narrow.address) as client, pytest.raises(InvalidRequestError):
        small(client, parameters={"nonsense": 1}, request_id=name)
    narrow.wait_for_call(request_id=name)
    assert len(narrow.calls(request_id=name)) == 1


def test_a_deadline_that_passes_is_a_timeout(open_client, server_process):
    name = f"late-{open_client.__name__}"
    pool = Batches(np.full((100_000, 2), 0.5, np.float32), 1, lambda: time.sleep(0.5))
    with open_client(server_process.address) as client:
        with pytest.raises(DeadlineError, match=r"no answer from .* in time") as caught:
            client.select(pool, strategy="entropy", budget=1, timeout=0.3, request_id=name)
        assert isinstance(caught.value, TimeoutError)
        rows = np.random.default_rng(0).random((4000, 64), np.float32)  # one message
        with pytest.raises(DeadlineError):
            client.select(embeddings=rows, strategy="facility_location", budget=1000, timeout=0.05)
    server_process.wait_for_call(request_id=name, status="CANCELLED")


@pytest.mark.parametrize("seconds", [1e6, 1e10, float("inf")])
def test_a_timeout_may_be_as_long_as_one_likes(open_client, server, seconds):
    with open_client(server.address, timeout=seconds) as client:
        client.wait_ready(timeout=seconds)
        assert len(small(client)) == 1
        assert len(streamed(client)) == 1


def test_no_server_at_all_is_said_within_seconds(open_client):
    started = time.monotonic()
    with open_client(NOBODY) as client:
        with pytest.raises(UnavailableError, match=f"no server at {NOBODY} answered") as caught:
            client.info()
        assert isinstance(caught.value, ConnectionError)
        with pytest.raises(UnavailableError, match=r"within 0.2 s .*nextlabel serve"):
            client.wait_ready(timeout=0.2)
    assert time.monotonic() - started < 8


def pump(source, target):
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)


@contextmanager
def slow_to_connect(address, seconds):
    """The address of a relay to a server, from which nothing comes for the first seconds."""
    host, port = address.rsplit(":", 1)

    def relay(connection):
        with suppress(OSError), connection, socket.create_connection((host, int(port))) as there:
            threading.Thread(target=pump, args=(connection, there), daemon=True).start()
            time.sleep(seconds)
            pump(there, connection)

    def accept():
        with suppress(OSError):
            while True:
                threading.Thread(target=relay, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_server_far_away_is_given_time_to_connect(open_client, server):
    with slow_to_connect(server.address, 2) as address, open_client(address) as client:
        assert len(small(client)) == 1


def test_a_server_that_comes_up_late_is_waited_for(open_client, narrow):
    with ServerProcess() as late:
        address = late.address
    threading.Timer(0.3, lambda: late.__init__(address=address)).start()
    with open_client(address) as client:
        client.wait_ready(timeout=10)
        assert len(small(client)) == 1
    late.kill()


def test_one_of_two_servers_is_enough(open_client, narrow):
    with open_client(f"{NOBODY},{narrow.address}") as client:
        assert len(small(client)) == 1


def test_a_name_is_resolved(narrow):
    port = narrow.address.rpartition(":")[2]
    for address in (f"dns:///localhost:{port}", f"localhost:{port}", f"ipv4:127.0.0.1:{port}"):
        with Client(address) as client:
            assert len(small(client)) == 1


def test_a_client_may_be_shared_by_threads(narrow, server):
    results = []
    with Client(server.address) as client:
        threads = [
            threading.Thread(target=lambda: results.append(small(client))) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [picked.indices.tolist() for picked in results] == [[0]] * 20
