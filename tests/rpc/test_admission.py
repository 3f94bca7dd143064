"""The byte budget under calls that grow: one always gets on, and none waits for a younger one."""

import threading
from contextlib import ExitStack

import pytest

from nextlabel_server.errors import Busy, Cancelled, OverLimit
from nextlabel_server.rpc.admission import Admission
from nextlabel_server.rpc.calls import Call
from tests.servers import wait_for


class Line:
    """Calls of one admission with 100 bytes, each in the test's own thread unless it waits."""

    def __init__(self, stack, **limits):
        self.admission = Admission(
            **{"budget_bytes": 100, "max_calls": 9, "max_waiting": 9, "max_wait_seconds": 5}
            | limits
        )
        self._stack = stack

    def enters(self, size):
        return self._stack.enter_context(self.admission.admit(size, Call("Select")))

    def waits_to_grow(self, reservation, total):
        """Grows in a thread of its own, which has to wait."""
        outcome = []

        def grow():
            try:
                reservation.grow_to(total)
                outcome.append("grown")
            except Cancelled:
                outcome.append("cancelled")

        threading.Thread(target=grow, daemon=True).start()
        assert wait_for(lambda: self.admission._grower_waits)
        return outcome


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened


def test_the_first_to_grow_waits_and_a_later_one_gives_way(stack):
    line = Line(stack)
    first, second = line.enters(40), line.enters(40)
    first.grow_to(50)
    with pytest.raises(Busy, match="no memory left") as refused:
        second.grow_to(60)
    assert refused.value.retry_after == 1.0
    with ExitStack() as leaving:
        leaving.enter_context(line.admission.admit(10, Call("Select")))
        grown = line.waits_to_grow(first, 60)
        assert not grown
    assert wait_for(lambda: grown == ["grown"])
    assert line.admission.held_bytes == 60 + 40


def test_what_is_given_back_is_for_the_one_that_waits_to_grow(stack):
    line = Line(stack, max_wait_seconds=0.05)
    first, second = line.enters(50), line.enters(20)
    with ExitStack() as leaving:
        leaving.enter_context(line.admission.admit(20, Call("Select")))
        line.admission._max_wait = 5
        grown = line.waits_to_grow(first, 75)
        line.admission._max_wait = 0.05
        with pytest.raises(Busy), line.admission.admit(5, Call("Select")):
            raise AssertionError("let in past one that waits to grow")
        with pytest.raises(Busy):
            second.grow_to(25)
    assert wait_for(lambda: grown == ["grown"])


def test_one_that_waits_to_grow_stops_when_its_caller_goes(stack):
    line = Line(stack)
    first, _ = line.enters(50), line.enters(50)
    outcome = line.waits_to_grow(first, 60)
    first.call.cancel.cancel()
    assert wait_for(lambda: outcome == ["cancelled"])
    assert line.admission.held_bytes == 100


def test_nothing_grows_beyond_the_budget(stack):
    line = Line(stack)
    with pytest.raises(OverLimit, match="101 bytes of memory; this server has 100"):
        line.enters(1).grow_to(101)


def test_when_all_grow_at_once_all_come_to_their_end_by_trying_again():
    admission = Admission(100, 9, 9, 5)
    ended = []

    def pool():
        while True:
            try:
                with admission.admit(10, Call("SelectStream")) as reservation:
                    for total in range(20, 91, 10):
                        reservation.grow_to(total)
                ended.append(1)
                return
            except Busy:
                continue

    threads = [threading.Thread(target=pool, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: len(ended) == 8, 20)
    assert admission.held_bytes == 0
