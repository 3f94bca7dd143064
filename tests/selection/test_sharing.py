"""Work in pieces, shared between threads."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nextlabel_server.errors import Cancelled
from nextlabel_server.selection import Sizes, sharing, strategy_named
from tests.selection.pools import picking_of


@pytest.fixture(params=[1, 2, 4])
def threads(request):
    sharing.with_threads(request.param)
    yield request.param
    sharing.with_threads(1)


@pytest.fixture
def two_threads():
    sharing.with_threads(2)
    yield
    sharing.with_threads(1)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("count", [0, 1, 2, 64, 65, 1000])
def test_results_come_in_the_order_of_the_pieces(count):
    assert list(sharing.results(lambda piece: piece * piece, range(count))) == [
        piece * piece for piece in range(count)
    ]


def test_the_caller_and_a_helper_work_at_the_same_time(two_threads):
    both = threading.Barrier(2, timeout=10)

    def meet(_piece):
        both.wait()
        return threading.current_thread()

    found = list(sharing.results(meet, range(2)))
    assert threading.current_thread() in found
    assert len(set(found)) == 2


@pytest.mark.usefixtures("threads")
def test_pieces_may_share_work_themselves():
    def sums(piece):
        return sum(sharing.results(lambda inner: piece * inner, range(10)))

    assert list(sharing.results(sums, range(20))) == [45 * piece for piece in range(20)]


def test_the_caller_does_everything_while_helpers_are_busy(two_threads):
    begun, ended = threading.Event(), threading.Event()

    def stay(piece):
        if threading.current_thread() is not caller:
            begun.set()
        assert ended.wait(10)
        return piece

    def hold_the_helper():
        nonlocal caller
        caller = threading.current_thread()
        return list(sharing.results(stay, range(2)))

    caller = None
    with ThreadPoolExecutor(1) as other:
        busy = other.submit(hold_the_helper)
        assert begun.wait(10)
        found = list(sharing.results(lambda _: threading.current_thread(), range(5)))
        ended.set()
        assert busy.result(10) == [0, 1]
    assert found == [threading.current_thread()] * 5


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("failing", [0, 7, 63])
def test_a_failure_reaches_the_caller_and_drops_what_is_left(failing):
    done = []

    def work(piece):
        if piece == failing:
            raise Cancelled
        done.append(piece)

    with pytest.raises(Cancelled):
        list(sharing.results(work, range(10_000)))
    assert len(done) < 64
    before = list(done)
    assert list(sharing.results(str, range(3))) == ["0", "1", "2"]
    assert done == before


def test_a_helpers_failure_reaches_the_caller(two_threads):
    caller, both = threading.current_thread(), threading.Barrier(2, timeout=10)

    def work(_piece):
        both.wait()
        if threading.current_thread() is not caller:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(sharing.results(work, range(2)))


def test_nobody_is_at_work_when_it_raises(two_threads):
    caller, both = threading.current_thread(), threading.Barrier(2, timeout=10)
    ended = threading.Event()

    def work(_piece):
        both.wait()
        if threading.current_thread() is caller:
            raise Cancelled
        threading.Event().wait(0.05)
        ended.set()

    with pytest.raises(Cancelled):
        list(sharing.results(work, range(2)))
    assert ended.is_set()


def test_helpers_begin_as_they_are_told():
    began, both = threading.Event(), threading.Barrier(2, timeout=10)
    sharing.with_threads(2, began.set)
    try:
        list(sharing.results(lambda _: both.wait(), range(2)))
    finally:
        sharing.with_threads(1)
    assert began.is_set()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("facility_location", {}),
        ("facility_location", {"similarity": "rbf"}),
        ("max_herding", {}),
        ("prob_cover", {"delta": 3.0}),
        ("prob_cover", {}),
    ],
)
def test_picks_and_gains_are_the_same_with_any_number_of_threads(name, given):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2500, 8)).astype(np.float32)
    context = rng.normal(size=(600, 8)).astype(np.float32)[:3]
    found = []
    for threads in (1, 2, 4):
        sharing.with_threads(threads)
        try:
            picking = picking_of(name, 30, embeddings=x, labeled_embeddings=context, **given)
        finally:
            sharing.with_threads(1)
        found.append((picking.rows.tolist(), picking.gains.tolist()))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("name", "given"),
    [("facility_location", {}), ("max_herding", {}), ("prob_cover", {"delta": 4.0})],
)
def test_memory_stays_under_what_is_declared_with_many_threads(name, given):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(4500, 16)) + 1e4).astype(np.float32)  # far away float32 decides nothing
    sharing.with_threads(8)
    tracemalloc.start()
    picking_of(name, 3, embeddings=x, **given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    sharing.with_threads(1)
    assert peak <= strategy_named(name).bytes_of(Sizes(N=4500, B=3, D=16))
