"""The floor: a bare gRPC byte stream, with nothing done to the bytes at either end.

Run as a program it is the server of that stream; it prints its port.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from benchmarks import serving

METHOD = "/benchmark.Floor/Sink"
LIMIT = ("grpc.max_receive_message_length", 64 << 20)


def send(channel: grpc.Channel, messages: Iterable[bytes]) -> bytes:
    """Streams the messages and waits for the answer."""
    return channel.stream_unary(METHOD)(iter(messages))


def _sink(messages: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
    return str(sum(len(message) for message in messages)).encode()


def main() -> None:
    """Serves until it is killed."""
    server = grpc.server(ThreadPoolExecutor(4), options=[LIMIT])
    handler = grpc.stream_unary_rpc_method_handler(_sink)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("benchmark.Floor", {"Sink": handler})]
    )
    serving.until_killed(server)


if __name__ == "__main__":
    main()
