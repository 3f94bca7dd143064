"""What the fuzzer feeds: the codec of row blocks, and a real server in this process.

Whatever comes, a server answers or refuses in time, finds no defect in itself, and gives back
all that it reserved.
"""

import math
import random
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from nextlabel.v1 import selection_pb2, service_pb2
from tests import servers
from tests.client.generated import assert_decoded_as_generated
from tests.fuzz import frames, seeds
from tests.fuzz.mutations import mutate_bytes, mutate_messages

SERVICE = "/nextlabel.v1.QuerySelectionService/"
SECONDS = 20.0
"""Longer than any call on such pools takes."""
REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
LIMITS = {
    "max_rows": 10_000,
    "max_message_bytes": 1 << 16,
    "memory_budget_bytes": 128 << 20,
    "compute_threads": 1,
    "stall_seconds": SECONDS,
}


class Target(ABC):
    """Something that takes bytes from outside."""

    @abstractmethod
    def seeds(self) -> Iterator[bytes]:
        """Inputs that are right."""

    @abstractmethod
    def mutate(self, data: bytes, rng: random.Random) -> bytes:
        """An input a little different."""

    @abstractmethod
    def run(self, data: bytes) -> None:
        """Takes the input, and raises AssertionError when that went wrong."""


class Codec(Target):
    """The decoder of row blocks, which must do what the generated classes do."""

    def seeds(self) -> Iterator[bytes]:
        for messages in seeds.streams():
            yield from messages

    def mutate(self, data: bytes, rng: random.Random) -> bytes:
        return mutate_messages([data], service_pb2.SelectStreamRequest, rng)[0]

    def run(self, data: bytes) -> None:
        assert_decoded_as_generated(data)


class _Calls(Target):
    """Calls of one method of a server in this process."""

    def __init__(self, server, channel: grpc.Channel) -> None:
        self._admissions = server.admissions
        self._channel = channel
        self.codes: dict[str, int] = {}
        """How many calls ended with each status."""

    def run(self, data: bytes) -> None:
        refused = None
        try:
            self.call(data)
        except grpc.RpcError as error:
            refused = error
        code = refused.code().name if refused else "OK"
        assert code in REFUSALS | {"OK"}, f"{code}: {refused.details()}"
        self.codes[code] = self.codes.get(code, 0) + 1
        assert servers.wait_for(
            lambda: not any(one.held_bytes or one.calls for one in self._admissions)
        )

    @abstractmethod
    def call(self, data: bytes) -> None:
        """Makes the call that an input stands for; looks at an answer."""


class Select(_Calls):
    """The bytes of one message."""

    def seeds(self) -> Iterator[bytes]:
        return seeds.unary()

    def mutate(self, data: bytes, rng: random.Random) -> bytes:
        return mutate_messages([data], service_pb2.SelectRequest, rng)[0]

    def call(self, data: bytes) -> None:
        method = self._channel.unary_unary(
            SERVICE + "Select", response_deserializer=service_pb2.SelectResponse.FromString
        )
        _check([method(data, timeout=SECONDS).ranking])


class SelectStream(_Calls):
    """The bytes of several messages, in frames."""

    def seeds(self) -> Iterator[bytes]:
        return map(frames.join, seeds.streams())

    def mutate(self, data: bytes, rng: random.Random) -> bytes:
        if rng.random() < 0.05:
            return mutate_bytes(data, rng)
        messages = frames.split(data)
        return frames.join(mutate_messages(messages, service_pb2.SelectStreamRequest, rng))

    def call(self, data: bytes) -> None:
        method = self._channel.stream_stream(
            SERVICE + "SelectStream",
            response_deserializer=service_pb2.SelectStreamResponse.FromString,
        )
        answer = method(iter(frames.split(data)), timeout=SECONDS)
        _check([message.ranking for message in answer])


def _check(rankings: list[selection_pb2.Ranking]) -> None:
    """No row is picked twice, and every score is a number."""
    rows = [row for ranking in rankings for row in ranking.indices]
    assert len(set(rows)) == len(rows)
    assert all(math.isfinite(score) for ranking in rankings for score in ranking.scores)


NAMES = {"codec": Codec, "select": Select, "stream": SelectStream}


@contextmanager
def target_named(name: str) -> Iterator[Target]:
    """The target of that name, with a server where it needs one."""
    kind = NAMES[name]
    if not issubclass(kind, _Calls):
        yield kind()
        return
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        seeds.save_model(Path(directory))
        with (
            servers.in_process(patch, models=(Path(directory),), **LIMITS) as server,
            grpc.insecure_channel(server.address) as channel,
        ):
            yield kind(server, channel)
