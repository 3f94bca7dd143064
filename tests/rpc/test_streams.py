"""Streams of any size and cut, and clients that stall, vanish or do not read."""

import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest

from tests import servers
from tests.rpc.calls import (
    Connection,
    block,
    header,
    joined,
    refusal,
    request,
    tensor,
)
from tests.rpc.test_bad_streams import reference_block

ROWS = 1000
SPEC = {"strategy": "entropy", "budget": {"count": ROWS}, "return_all_scores": True}


@pytest.fixture(scope="module")
def pool():
    raw = np.random.default_rng(2).random((ROWS, 3), np.float32)
    raw[500:510] = raw[0]  # ties
    return raw / raw.sum(axis=1, keepdims=True)


@pytest.fixture
def connection(server):
    with Connection(server.address) as opened:
        yield opened


def blocks(rows, size):
    for first in range(0, len(rows), size):
        yield block(first, len(rows[first : first + size]), rows[first : first + size])


def test_any_cut_gives_the_same_bits_as_a_unary_call(connection, pool):
    whole = request(tensor(array=pool), **SPEC)
    unary = connection.select(whole)
    for size in (1, 7, 333, 999, ROWS):
        for rows in (ROWS, -1):
            start = header(request(tensor(shape=[rows, 3]), **SPEC))
            answer = joined(connection.select_stream(iter([start, *blocks(pool, size)])))
            assert answer.indices == unary.ranking.indices
            assert answer.scores == unary.ranking.scores
            assert answer.all_scores == unary.all_scores.scores
            assert answer.summary.row_count == ROWS
            assert answer.summary.seed == unary.summary.seed == 1


def test_a_block_that_is_taken_in_pieces_is_as_good_as_many(connection):
    rows = np.random.default_rng(3).dirichlet(np.ones(3), 300_000).astype(np.float32)  # 3.6 MB
    for sampling in ("top", "softmax"):
        whole = request(
            tensor(shape=rows.shape), budget={"count": 50}, sampling={"method": sampling}, seed=1
        )
        start = header(whole)
        one, many = (
            joined(connection.select_stream(iter([start, *blocks(rows, size)])))
            for size in (len(rows), 20_000)
        )
        assert (one.indices, one.scores) == (many.indices, many.scores)
    rows[290_000] = 0.9
    found = refusal(lambda: connection.select_stream(iter([start, *blocks(rows, len(rows))])))
    assert found.code == "INVALID_ARGUMENT"
    assert "row 290000 sums to 2.7" in found.message


def test_blocks_may_differ_in_size(connection, pool):
    start = header(request(tensor(shape=[-1, 3]), **SPEC))
    sizes = np.cumsum([1, 1, 600, 2, 390])
    parts = np.split(pool, sizes)
    firsts = [0, *sizes]
    cut = [block(first, len(part), part) for first, part in zip(firsts, parts, strict=True)]
    answer = joined(connection.select_stream(iter([start, *cut])))
    assert (
        answer.all_scores
        == connection.select(request(tensor(array=pool), **SPEC)).all_scores.scores
    )


def test_an_empty_stream_of_unknown_length_is_an_empty_pool(connection):
    start = header(request(tensor(shape=[-1, 3])))
    answer = joined(connection.select_stream(iter([start])))
    assert answer.indices == []
    assert (answer.summary.row_count, answer.summary.exhausted) == (0, True)


def test_references_may_be_streamed_in_blocks_of_any_size(connection):
    rows = np.full((4000, 2), 0.5, np.float32)
    unwanted = np.random.default_rng(0).permutation(4000)[:3000]
    whole = request(
        tensor(array=rows),
        references=[tensor("excluded", unwanted), tensor("cost_matrix", np.eye(2))],
        strategy="expected_cost",
        budget={"count": 4000},
    )
    expected = sorted(set(range(4000)) - set(unwanted.tolist()))
    assert list(connection.select(whole).ranking.indices) == expected
    costs = reference_block(0, name="cost_matrix", row_count=2)
    costs.reference_block.contents.data = np.eye(2).tobytes()
    for size in (1, 700, 3000):
        messages = [
            header(whole, streamed=True),
            *(
                reference_block(first, *unwanted[first : first + size])
                for first in range(0, 3000, size)
            ),
            costs,
            *blocks(rows, 999),
        ]
        answer = joined(connection.select_stream(iter(messages)))
        assert answer.indices == expected
        assert answer.summary.eligible_count == 1000
        assert answer.summary.exhausted


def test_a_long_ranking_comes_in_pieces_that_every_client_can_receive(connection):
    whole = request(strategy="random", budget={"count": 200_000}, return_all_scores=True)
    del whole.pool[:]
    whole.row_count = 300_000
    sizes = []

    def measured():
        for response in connection.select_stream(iter([header(whole)])):
            sizes.append(response.ByteSize())
            yield response

    answer = joined(measured())
    expected = np.random.default_rng(1).random(300_000)
    assert answer.all_scores == expected.tolist()
    assert answer.indices == np.argsort(-expected, kind="stable")[:200_000].tolist()
    assert max(sizes) < 1 << 20
    assert len(sizes) > 8


def test_a_unary_answer_that_most_clients_could_not_receive_is_refused(connection):
    whole = request(strategy="random", budget={"fraction": 1.0})
    del whole.pool[:]
    whole.row_count = 400_000
    found = refusal(lambda: connection.select(whole))
    assert (found.code, found.reason) == ("RESOURCE_EXHAUSTED", "OVER_LIMIT")
    assert "use SelectStream" in found.message
    whole.spec.budget.count = 10
    assert len(connection.select(whole).ranking.indices) == 10


def test_an_answer_about_items_is_as_long_as_there_are_items(connection):
    offsets = np.zeros(530_001, np.int32)
    offsets[-1] = 4
    whole = request(references=[tensor("item_offsets", offsets)], return_all_scores=True)
    found = refusal(lambda: connection.select(whole))
    assert (found.code, found.reason) == ("RESOURCE_EXHAUSTED", "OVER_LIMIT")
    assert "use SelectStream" in found.message


def test_progress_tells_what_was_received_and_scored(connection, pool):
    first, second = blocks(pool, 500)
    told = threading.Event()

    def sent():
        yield header(request(tensor(array=pool)))
        yield first
        assert told.wait(10)
        yield second

    def watched(responses):
        for response in responses:
            if response.progress.rows_received == 500:
                told.set()
            yield response

    progress = joined(watched(connection.select_stream(sent()))).progress
    received = [each.rows_received for each in progress]
    assert 500 in received
    assert received == sorted(received)
    assert all(each.rows_scored == each.rows_received for each in progress)


@pytest.fixture(scope="module")
def hasty():
    """A server process that soon takes silence for a stall."""
    limits = {"stall_seconds": 0.3, "min_bytes_per_second": 1, "max_calls": 2, "max_waiting": 2}
    with servers.ServerProcess(**limits) as running:
        yield running


def test_a_sender_that_stalls_is_cut_off(hasty):
    with Connection(hasty.address) as connection:
        start = header(request(tensor(shape=[8, 2]), request_id="stalled"))
        first = block(0, 4, np.full((4, 2), 0.5, np.float32))
        for sent in ([], [start], [start, first]):
            done = threading.Event()

            def messages(sent=sent, done=done):
                yield from sent
                done.wait(10)

            started = time.monotonic()
            found = refusal(lambda messages=messages: connection.select_stream(messages()))
            done.set()
            assert 0.3 <= time.monotonic() - started < 2
            assert (found.code, found.reason) == ("DEADLINE_EXCEEDED", "STALLED")
            assert "nothing was sent for 0.3 s" in found.message
    assert servers.wait_for(
        lambda: len(hasty.calls(request_id="stalled", status="DEADLINE_EXCEEDED")) == 2
    )


def test_a_slow_sender_is_not_a_stalled_one(hasty):
    def messages():
        yield header(request(tensor(shape=[4, 2]), request_id="slow"))
        for row in range(4):
            time.sleep(0.15)
            yield block(row, 1, np.full((1, 2), 0.5, np.float32))

    with Connection(hasty.address) as connection:
        assert joined(connection.select_stream(messages())).summary.row_count == 4


@pytest.fixture
def guarded(monkeypatch):
    """A server in this process with room for two calls, and its admission."""
    limits = {"max_calls": 2, "max_waiting": 0, "stall_seconds": 20}
    with servers.in_process(monkeypatch, **limits) as running:
        yield running


def half_a_stream(done):
    yield header(request(tensor(shape=[1_000_000, 2])))
    yield block(0, 1000, np.full((1000, 2), 0.5, np.float32))
    done.wait(10)


def free(server, within=0.5):
    """Whether everything that calls held is given back in time."""
    return servers.wait_for(lambda: server.admission.held_bytes == 0, within)


@pytest.mark.parametrize("leave", ["cancels", "closes the channel", "passes its deadline"])
def test_a_client_that_leaves_gives_everything_back_at_once(guarded, leave):
    for _ in range(6):  # more than there is room for
        done = threading.Event()
        with Connection(guarded.address) as connection:
            timeout = 0.2 if leave == "passes its deadline" else 10
            call = connection.select_stream(half_a_stream(done), timeout=timeout)
            assert servers.wait_for(lambda: guarded.admission.held_bytes > 8_000_000)
            if leave == "cancels":
                call.cancel()
            elif leave == "closes the channel":
                connection.channel.close()
            else:
                assert refusal(lambda call=call: call).code == "DEADLINE_EXCEEDED"
            assert free(guarded)
        done.set()
    with Connection(guarded.address) as connection:
        assert len(connection.select(request(), timeout=1).ranking.indices) == 2


CLIENT = """
import sys, time
from tests.rpc.calls import Connection
from tests.rpc.test_streams import half_a_stream

class Never:
    def wait(self, seconds):
        print("sent", flush=True)
        time.sleep(seconds)

with Connection(sys.argv[1]) as connection:
    list(connection.select_stream(half_a_stream(Never())))
"""


def test_a_client_that_is_killed_gives_everything_back_at_once(guarded):
    arguments = [sys.executable, "-c", CLIENT, guarded.address]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "sent\n"
        held = servers.wait_for(lambda: guarded.admission.held_bytes > 0)
        client.kill()
    assert held
    assert free(guarded)


def test_a_client_that_does_not_read_its_answer_is_cut_off_too(hasty):
    whole = request(strategy="random", budget={"count": 1_000_000}, request_id="unread")
    del whole.pool[:]
    whole.row_count = 1_000_000
    with Connection(hasty.address) as connection:
        unread = [connection.select_stream(iter([header(whole)])) for _ in range(2)]
        hasty.wait_for_call(5, request_id="unread")
        with Connection(hasty.address) as other:
            assert len(other.select(request(), timeout=2).ranking.indices) == 2
        for call in unread:
            call.cancel()


def test_calls_that_end_leave_no_memory_behind():
    rows = np.full((400_000, 2), 0.5, np.float32)
    start = header(request(tensor(shape=[-1, 2]), budget={"count": 1000}))
    messages = [start, *blocks(rows, 100_000)]
    with servers.ServerProcess() as running, Connection(running.address) as connection:

        def work():
            joined(connection.select_stream(iter(messages)))
            vanishing = connection.select_stream(iter(messages))
            vanishing.cancel()
            refusal(lambda: connection.select_stream(iter(messages[:1] + messages[2:])))

        for _ in range(5):
            work()
        before = running.memory_bytes
        for _ in range(25):
            work()
        assert running.memory_bytes - before < 40 << 20


def test_a_refusal_reaches_a_client_that_is_still_sending(connection):
    rows = np.full((100_000, 2), 0.5, np.float32)
    rows[3] = 0.7
    endless = threading.Event()

    def messages():
        yield header(request(tensor(shape=[-1, 2])))
        number = 0
        while not endless.wait(0.001):
            yield block(number * 100_000, 100_000, rows)
            number += 1

    found = refusal(lambda: connection.select_stream(messages(), timeout=5))
    endless.set()
    assert (found.code, list(found.violations)) == ("INVALID_ARGUMENT", ["probabilities"])
    assert "row 3 sums to 1.4" in found.message


def test_compressed_messages_are_taken(connection, pool):
    whole = request(tensor(array=pool), **SPEC)
    plain, packed = (
        connection.select(whole, compression=kind)
        for kind in (grpc.Compression.NoCompression, grpc.Compression.Gzip)
    )
    assert plain.ranking == packed.ranking
