"""Server reflection, in a few threads of its own, so that it takes none from other calls."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from nextlabel_server.rpc.sender import watched
from nextlabel_server.rpc.watchdog import Watchdog

SILENCE_SECONDS = 5.0  # between two requests of a stream, and for a client to take an answer


def add_reflection(
    services: Sequence[str], server: grpc.Server, threads: ThreadPoolExecutor, watchdog: Watchdog
) -> None:
    """Has the server describe these services; ends streams that are silent or do not read."""
    describe = reflection.ReflectionServicer(services).ServerReflectionInfo

    def behavior(
        requests: Iterator[ServerReflectionRequest], context: grpc.ServicerContext
    ) -> Iterator[ServerReflectionResponse]:
        answers = describe(_awaited(requests, context, watchdog), context)
        return watched(answers, context, watchdog, SILENCE_SECONDS)

    vars(behavior).update(experimental_thread_pool=threads)
    handler = grpc.stream_stream_rpc_method_handler(
        behavior,
        ServerReflectionRequest.FromString,
        ServerReflectionResponse.SerializeToString,
    )
    methods = {"ServerReflectionInfo": handler}
    served = grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, methods)
    server.add_generic_rpc_handlers((served,))


def _awaited(
    requests: Iterator[ServerReflectionRequest],
    context: grpc.ServicerContext,
    watchdog: Watchdog,
) -> Iterator[ServerReflectionRequest]:
    """The requests; ends the call when the next one does not come."""
    while True:
        with watchdog.limit(SILENCE_SECONDS, context.cancel):
            request = next(requests, None)
        if request is None:
            return
        yield request
