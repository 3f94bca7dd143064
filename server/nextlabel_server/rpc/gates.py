"""Where calls compute: a few threads for each kind of work, so that short work stays short."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, Self, TypeVar

from nextlabel_server.rpc.turns import Turns

NICE = 5  # so that health checks under load do not wait for computing

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _Here(Executor):
    """Does the work at once, in the thread that asks for it."""

    def submit(
        self,
        work: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        done: Future[Result] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


@dataclass(frozen=True, slots=True)
class Gates:
    """Threads by how long they may be held.

    Attributes:
        turns: for a row block, which is worked on by the thread that has it.
        short: for a batch of inputs, a ranking.
        light: for selections from small pools, so that they wait for no large one.
        long: for selections, which may take minutes.
    """

    turns: Turns
    short: Executor
    light: Executor
    long: Executor

    @classmethod
    def of_threads(cls, threads: int) -> Self:
        """Gates for so many pieces of work of each kind."""
        return cls(
            Turns(threads),
            _gate("compute", threads),
            _gate("light", 1),
            _gate("long", threads),
        )

    def close(self) -> None:
        """Drops what has not begun, and waits for the rest."""
        for gate in (self.short, self.light, self.long):
            gate.shutdown(cancel_futures=True)


def _gate(name: str, threads: int) -> Executor:
    return ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=give_way)


def give_way() -> None:
    """Lets the threads that receive, answer and check health have a processor first."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


HERE = Gates(Turns(sys.maxsize), _Here(), _Here(), _Here())
"""For work so small that handing it over would cost more than doing it."""
