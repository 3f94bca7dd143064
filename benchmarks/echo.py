"""The floor of a small call: the generated stubs alone, with an answer that is made already.

Run as a program it is the server of that; it prints its port.
"""

from concurrent.futures import ThreadPoolExecutor

import grpc

from benchmarks import serving
from nextlabel.v1 import selection_pb2, service_pb2, service_pb2_grpc

ANSWER = service_pb2.SelectResponse(
    ranking=selection_pb2.Ranking(indices=range(10), scores=[0.5] * 10)
)


class Echo(service_pb2_grpc.QuerySelectionServiceServicer):
    def Select(  # noqa: N802 - gRPC names the method
        self, _request: service_pb2.SelectRequest, _context: grpc.ServicerContext
    ) -> service_pb2.SelectResponse:
        return ANSWER


def main() -> None:
    """Serves until it is killed."""
    server = grpc.server(ThreadPoolExecutor(32))
    service_pb2_grpc.add_QuerySelectionServiceServicer_to_server(Echo(), server)
    serving.until_killed(server)


if __name__ == "__main__":
    main()
