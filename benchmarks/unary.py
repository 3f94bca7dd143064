"""Small pools, one message each, against the generated stubs alone."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import numpy as np

from benchmarks import processes
from benchmarks.timing import in_turn, seconds
from nextlabel import Client
from nextlabel.v1 import selection_pb2, service_pb2, service_pb2_grpc, tensor_pb2

TITLE = "Small calls"
ABOUT = """\
100 x 10 float32, margin, the 10 best, as a unary call; *stubs alone* sends the same request to a
server that answers at once with a ranking made before. Client and server together."""
COLUMNS = ("work", "nextlabel", "stubs alone", "ratio", "to reach")
TARGET = 0.7
ROUNDS = 9
CALLS = 640


def rows() -> Iterator[tuple[str, ...]]:
    pool = np.random.default_rng(0).dirichlet(np.ones(10), 100).astype(np.float32)
    spec = tensor_pb2.TensorSpec(
        name="probabilities", data_type=tensor_pb2.DATA_TYPE_FP32, shape=pool.shape
    )
    contents = tensor_pb2.TensorContents(data=pool.tobytes())
    request = service_pb2.SelectRequest(
        spec=selection_pb2.SelectionSpec(strategy="margin", budget=selection_pb2.Budget(count=10)),
        pool=[tensor_pb2.Tensor(spec=spec, contents=contents)],
    )
    with (
        processes.echo() as echo,
        processes.nextlabel() as address,
        grpc.insecure_channel(echo) as channel,
        Client(address) as client,
        ThreadPoolExecutor(64) as threads,
    ):
        stub = service_pb2_grpc.QuerySelectionServiceStub(channel)
        bare = partial(stub.Select, request)
        ours = partial(client.select, probabilities=pool, strategy="margin", budget=10)
        for name, repeat in (
            ("one at a time", _one_by_one),
            ("64 in flight", partial(_at_once, threads)),
        ):
            ways = [partial(seconds, partial(repeat, call)) for call in (ours, bare)]
            own, floor = in_turn(ways, ROUNDS)
            yield (
                name,
                f"{CALLS / own:.0f} a second",
                f"{CALLS / floor:.0f} a second",
                f"{floor / own:.2f}",
                f"at least {TARGET}",
            )


def _one_by_one(call: Callable[[], object]) -> None:
    for _ in range(CALLS):
        call()


def _at_once(threads: ThreadPoolExecutor, call: Callable[[], object]) -> None:
    for done in [threads.submit(call) for _ in range(CALLS)]:
        done.result()
