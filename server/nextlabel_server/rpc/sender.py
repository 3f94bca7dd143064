"""Sending an answer, with an eye on clients that do not read it."""

from collections.abc import Iterator
from typing import TypeVar

import grpc

from nextlabel_server.rpc.watchdog import Watchdog

Message = TypeVar("Message")


def watched(
    messages: Iterator[Message],
    context: grpc.ServicerContext,
    watchdog: Watchdog,
    stall_seconds: float,
) -> Iterator[Message]:
    """The messages; ends the call when one of them cannot be sent for that long.

    gRPC waits without a limit for a client that does not read, and the call would hold its
    place for ever.
    """
    for message in messages:
        with watchdog.limit(stall_seconds, context.cancel):
            yield message
