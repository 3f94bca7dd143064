"""Turns at computing: who gets one, and when."""

import threading

import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled
from nextlabel_server.rpc import turns
from nextlabel_server.rpc.spent import Spent
from nextlabel_server.rpc.turns import Turn, Turns
from tests.servers import wait_for


def turn_of(shared, cancel=None):
    return Turn(shared, cancel or CancelToken(), Spent())


def test_as_many_have_a_turn_at_once_as_there_are():
    shared = Turns(2)
    with turn_of(shared), turn_of(shared):
        third = threading.Thread(target=shared.take)
        third.start()
        assert wait_for(lambda: shared.waiting == 1)
    third.join(5)
    assert not third.is_alive()
    assert shared.waiting == 0


def test_whoever_pauses_stands_behind_those_that_wait(monkeypatch):
    monkeypatch.setattr(turns, "HELD_SECONDS", 0.0)
    shared, order = Turns(1), []

    def work(name):
        with turn_of(shared):
            order.append(name)

    others = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    with turn_of(shared) as turn:
        for count, other in enumerate(others, 1):
            other.start()
            assert wait_for(lambda count=count: shared.waiting == count)
        turn.pause()
        order.append("again")
    for other in others:
        other.join(5)
    assert order == ["a", "b", "c", "again"]


def test_a_turn_is_kept_for_a_while(monkeypatch):
    monkeypatch.setattr(turns, "HELD_SECONDS", 60.0)
    shared = Turns(1)
    with turn_of(shared) as turn:
        other = threading.Thread(target=shared.take)
        other.start()
        assert wait_for(lambda: shared.waiting)
        turn.pause()
        assert shared.waiting
    other.join(5)


def test_a_pause_stops_work_that_nobody_waits_for_and_gives_the_turn_back():
    shared, cancel = Turns(1), CancelToken()
    turn = turn_of(shared, cancel)
    cancel.cancel()
    with pytest.raises(Cancelled), turn:
        turn.pause()
    shared.take()  # at once


def test_a_pause_without_a_turn_takes_none():
    shared = Turns(1)
    turn_of(shared).pause()
    shared.take()  # at once
