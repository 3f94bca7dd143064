"""Work in pieces that idle processors take a share of.

The thread that asks does one piece after another itself; helpers do some meanwhile, if any is
idle. Where none is, it does everything: nothing ever waits for a thread to become free.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

MOST_THREADS = 4
"""That work for one call: what each needs for a piece is part of the memory of the call."""
_AT_ONCE = 64  # pieces whose results are kept until they are asked for

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_helpers: ThreadPoolExecutor | None = None
_most_helpers = 0


def with_threads(threads: int, began: Callable[[], object] | None = None) -> None:
    """Lets so many threads of this process work, callers included; it is one until then.

    `began` is called in each helper when it begins.
    """
    # Of the process, as processors and BLAS's threads are.
    global _helpers, _most_helpers
    _most_helpers = min(threads, MOST_THREADS) - 1
    # Threads of helpers that are replaced end with the last of their work.
    _helpers = ThreadPoolExecutor(max(threads - 1, 1), "sharing", initializer=began)


def results(work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> Iterator[Result]:
    """What `work` gives for each piece, in the order of the pieces, whoever does them.

    When this yields or raises nobody is at work: what is done with the results needs no lock. A
    piece should take a millisecond or so, mostly in numpy, which gives Python's lock back.

    Raises:
        Exception: what a piece raised; pieces that have not begun are dropped.
    """
    left = iter(pieces)
    while some := list(islice(left, _AT_ONCE)):
        yield from _shared(work, some)


def each(work: Callable[[Piece], None], pieces: Iterable[Piece]) -> None:
    """Does `work` on each piece, of which nothing comes but what it writes where no other does."""
    for _ in results(work, pieces):
        pass


def _shared(work: Callable[[Piece], Result], pieces: list[Piece]) -> list[Result]:
    left = deque(enumerate(pieces))
    done: dict[int, Result] = {}

    def take_share() -> None:
        try:
            while left:
                try:
                    number, piece = left.popleft()
                except IndexError:  # another thread was quicker
                    return
                done[number] = work(piece)
        finally:
            left.clear()  # nothing is left, or nobody wants it any more

    wanted = min(_most_helpers, len(pieces) - 1)
    helping: list[Future[None]] = []
    try:
        if _helpers is not None:
            helping = [_helpers.submit(take_share) for _ in range(wanted)]
        take_share()
    finally:
        begun = [each for each in helping if not each.cancel()]
        failures = [each.exception() for each in begun]  # waits for them
    for failure in failures:
        if failure is not None:
            raise failure
    return [done[number] for number in range(len(pieces))]
