"""Progress between the picks of strategies that need the whole pool."""

import threading
import time

import numpy as np
import pytest

import nextlabel
from nextlabel import _request
from nextlabel_server.rpc import receiver, run, selecting
from tests import servers
from tests.rpc.calls import Connection, block, header, joined, request, stream, tensor

X = np.random.default_rng(0).normal(size=(1500, 32)).astype(np.float32)
MANY = np.concatenate([X + shift for shift in range(10)])
LONG = {"strategy": "facility_location", "budget": {"count": 300}}


@pytest.fixture
def impatient(monkeypatch):
    """A server in this process that tells of picks every 10 ms."""
    monkeypatch.setattr(selecting, "TELL_SECONDS", 0.01)
    with servers.in_process() as running:
        yield running


@pytest.fixture(scope="module")
def server():
    with servers.ServerProcess() as running:
        yield running


def test_a_long_selection_tells_how_many_picks_are_made_but_not_too_often(impatient):
    with Connection(impatient.address) as connection:
        began = time.monotonic()
        answer = joined(connection.select_stream(stream(request(tensor("embeddings", X), **LONG))))
        took = time.monotonic() - began
    told = [event for event in answer.progress if event.picks_wanted]
    assert 1 <= len(told) <= took / 0.01
    made = [event.picks_made for event in told]
    assert made == sorted(made)
    assert made[0] < made[-1] <= 300
    assert {event.picks_wanted for event in told} == {300}
    assert {event.rows_received for event in told} == {len(X)}


def test_rows_that_keep_coming_are_not_told_of_too_often(monkeypatch):
    monkeypatch.setattr(receiver, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(run, "TELL_SECONDS", 1000.0)
    rows = np.full((1, 2), 0.5, np.float32)
    told = threading.Event()

    def sent():
        yield header(request(tensor(shape=[20, 2])))
        yield block(0, 1, rows)
        assert told.wait(10)
        for row in range(1, 20):
            time.sleep(0.01)
            yield block(row, 1, rows)

    def watched(responses):
        for response in responses:
            told.set()
            yield response

    with servers.in_process() as running, Connection(running.address) as connection:
        progress = joined(watched(connection.select_stream(sent()))).progress
    assert [each.rows_received for each in progress if not each.picks_wanted] == [1]


def test_the_callback_of_a_client_hears_of_picks(impatient, monkeypatch):
    monkeypatch.setattr(_request, "UNARY_BYTES", -1)
    seen = []
    with nextlabel.Client(impatient.address) as client:
        picked = client.select(
            embeddings=X, strategy="facility_location", budget=300, progress=seen.append
        )
    assert seen[-1] == (len(X), len(X), len(X), 300, 300)
    assert seen[-2].picks_wanted == 300
    assert len(picked) == 300


def test_what_the_callback_raises_ends_the_selection_on_the_server(server):
    def enough(progress):
        if progress.picks_wanted:
            raise KeyError("enough")

    with nextlabel.Client(server.address) as client, pytest.raises(KeyError, match="enough"):
        client.select(
            embeddings=MANY,
            strategy="facility_location",
            budget=1000,
            progress=enough,
            request_id="enough",
        )
    line = server.wait_for_call(request_id="enough", seconds=10)
    assert (line["status"], line["picked"]) == ("CANCELLED", 0)


def test_a_client_that_reads_nothing_can_still_cancel(server):
    whole = request(tensor("embeddings", MANY), request_id="silent", **LONG)
    with Connection(server.address) as connection:
        answers = connection.select_stream(stream(whole))
        time.sleep(1.0)  # so that events wait to be read
        assert answers.is_active()
        answers.cancel()
        line = server.wait_for_call(request_id="silent", seconds=10)
        assert (line["status"], line["picked"]) == ("CANCELLED", 0)
        assert list(connection.select(request()).ranking.indices) == [0, 1]
