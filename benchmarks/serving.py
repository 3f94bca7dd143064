"""A bare server as a program of its own."""

import grpc


def until_killed(server: grpc.Server) -> None:
    """Serves on loopback, and prints the port."""
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()
