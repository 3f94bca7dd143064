"""Requests written field by field, as a client in any language might, and their refusals."""

from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import numpy as np
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from nextlabel.v1 import selection_pb2, service_pb2, service_pb2_grpc, tensor_pb2

HALVES = np.full((4, 2), 0.5, np.float32)
TYPES = {"float16": 1, "float32": 2, "float64": 3, "int32": 6, "int64": 7, "uint8": 8, "uint32": 10}


def tensor(name="probabilities", array=HALVES, *, kind=None, shape=None, **contents):
    """A tensor of an array; with a type, shape or contents that it does not have, on request."""
    array = np.asarray(array)
    return tensor_pb2.Tensor(
        spec=tensor_pb2.TensorSpec(
            name=name,
            data_type=TYPES[str(array.dtype)] if kind is None else kind,
            shape=array.shape if shape is None else shape,
        ),
        contents=contents or {"data": array.tobytes()},
    )


def spec(**changes):
    return selection_pb2.SelectionSpec(
        **{"strategy": "entropy", "budget": {"count": 2}, "seed": 1, **changes}
    )


def request(*pool, references=(), inputs=(), row_count=None, **changes):
    """A unary request, right but for the changes."""
    return service_pb2.SelectRequest(
        spec=spec(**changes),
        pool=pool or [tensor()],
        inputs=inputs,
        references=references,
        row_count=row_count,
    )


def header(whole: service_pb2.SelectRequest, *, streamed=False) -> service_pb2.SelectStreamRequest:
    """What the header of a stream says of the same request."""
    return service_pb2.SelectStreamRequest(
        header=service_pb2.SelectStreamHeader(
            spec=whole.spec,
            pool=[one.spec for one in whole.pool],
            inputs=[one.spec for one in whole.inputs],
            references=() if streamed else whole.references,
            streamed_references=[one.spec for one in whole.references] if streamed else (),
            row_count=whole.row_count if whole.HasField("row_count") else None,
        )
    )


def block(first_row, row_count, *contents) -> service_pb2.SelectStreamRequest:
    """A row block; arrays and contents alike."""
    return service_pb2.SelectStreamRequest(
        row_block=service_pb2.RowBlock(
            first_row=first_row,
            row_count=row_count,
            tensors=[
                {"data": one.tobytes()} if isinstance(one, np.ndarray) else one for one in contents
            ],
        )
    )


def stream(whole: service_pb2.SelectRequest) -> Iterator[service_pb2.SelectStreamRequest]:
    """The same request as a stream of one block."""
    yield header(whole)
    tensors = (*whole.pool, *whole.inputs)
    rows = next((one.spec.shape[0] for one in tensors if one.spec.shape), 0)
    if rows > 0:
        yield block(0, rows, *(one.contents for one in tensors))


@dataclass
class Answer:
    """A streamed answer, joined."""

    indices: list
    scores: list
    all_scores: list
    progress: list
    shares: list
    nearest: list
    summary: selection_pb2.SelectionSummary


def joined(responses) -> Answer:
    """All messages of an answer, which come in the order of the contract."""
    answer = Answer([], [], [], [], [], [], None)
    order = ["progress", "ranking", "all_scores", "nearest_picks", "summary"]
    kinds = []
    for response in responses:
        kind = response.WhichOneof("message")
        kinds.append(order.index(kind))
        if kind == "ranking":
            answer.indices += response.ranking.indices
            answer.scores += response.ranking.scores
            answer.shares += response.ranking.shares
        elif kind == "all_scores":
            assert response.all_scores.first_row == len(answer.all_scores)
            answer.all_scores += response.all_scores.scores
        elif kind == "nearest_picks":
            assert response.nearest_picks.first_row == len(answer.nearest)
            answer.nearest += response.nearest_picks.indices
        elif kind == "progress":
            answer.progress.append(response.progress)
        else:
            answer.summary = response.summary
    assert kinds == sorted(kinds)
    assert kinds.count(order.index("summary")) == 1
    return answer


@dataclass
class Refusal:
    """How a call was refused."""

    code: str
    message: str
    reason: str
    request_id: str
    violations: dict[str, str]
    retry_seconds: float | None


def refusal(call) -> Refusal:
    """The refusal that `call` runs into."""
    try:
        result = call()
        if hasattr(result, "__next__"):
            list(result)
    except grpc.RpcError as error:
        return refusal_of(error)
    raise AssertionError("the call was answered")


def refusal_of(error: grpc.RpcError) -> Refusal:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        for kind in (info, bad, retry):
            if detail.Is(kind.DESCRIPTOR):
                detail.Unpack(kind)
    return Refusal(
        error.code().name,
        error.details(),
        info.reason,
        info.metadata.get("request_id", ""),
        {one.field: one.description for one in bad.field_violations},
        retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
    )


class Connection:
    """A channel to a server, with the generated stub; `options` are gRPC's."""

    def __init__(self, address: str, **options: int) -> None:
        named = [(f"grpc.{name}", value) for name, value in options.items()]
        self.channel = grpc.insecure_channel(address, named)
        stub = service_pb2_grpc.QuerySelectionServiceStub(self.channel)
        self.select, self.select_stream = stub.Select, stub.SelectStream
        self.stub = stub

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()


def assert_unharmed(server):
    """Whatever it was sent, no call found a defect, and the server is as well as ever."""
    assert "INTERNAL" not in {call["status"] for call in server.events("call")}
    assert not [line for line in server.log if line["level"] == "error"]
    assert not [line for line in server.output if not line.startswith("{")]
    with Connection(server.address) as connection:
        assert list(connection.select(request()).ranking.indices) == [0, 1]
