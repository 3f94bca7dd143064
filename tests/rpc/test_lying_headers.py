"""Declarations against what comes: whatever they say, one message and a stream fare alike."""

import math

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nextlabel.v1 import tensor_pb2
from tests import servers
from tests.rpc.calls import Connection, joined, request, stream

REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
SIZES = st.sampled_from([0, 1, 2, 3, 4]) | st.sampled_from(
    [-2, 255, 2**31, 2**40, 2**62, 2**63 - 1]
)
SHAPES = st.lists(SIZES, max_size=3) | st.just([4, 2])
TYPES = st.sampled_from([1, 2, 3]) | st.integers(0, 14)
DATA = st.sampled_from(
    [np.full((4, 2), 0.5, kind).tobytes() for kind in (np.float16, np.float32, np.float64)]
) | st.binary(max_size=40)


def without_elements(tensor):
    """A pool of no rows has none: in a stream no block would bring them."""
    if tensor.spec.shape[:1] == [0]:
        tensor.ClearField("contents")
    return tensor


TENSORS = st.builds(
    tensor_pb2.Tensor,
    spec=st.builds(
        tensor_pb2.TensorSpec,
        name=st.sampled_from(["probabilities", "embeddings", "committee", "costs", "groups", ""]),
        data_type=TYPES,
        shape=SHAPES,
    ),
    contents=st.builds(
        tensor_pb2.TensorContents,
        data=DATA,
        values=st.just([]) | st.lists(st.floats(width=32), max_size=8),
    ),
).map(without_elements)
STRATEGIES = st.sampled_from(["entropy", "random", "k_center", "bald", "ranked_batch", "std"])


@pytest.fixture(scope="module")
def running():
    with pytest.MonkeyPatch.context() as patch:
        limits = {"max_rows": 1000, "memory_budget_bytes": 64 << 20}
        with servers.in_process(patch, **limits) as server, Connection(server.address) as opened:
            yield server, opened


def outcome(call):
    """The answer's rows and scores, or the code of the refusal."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return error.code().name
    return list(answer.indices), list(answer.scores)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(TENSORS, max_size=2),
    STRATEGIES,
    st.none() | SIZES,
    st.sampled_from([{"count": 2}, {"fraction": 0.5}, {"cost": 1.0}, {"count": 2**62}]),
)
def test_one_message_and_a_stream_are_answered_or_refused_alike(
    running, pool, strategy, row_count, budget
):
    server, connection = running
    whole = request(strategy=strategy, row_count=row_count, budget=budget)
    del whole.pool[:]
    whole.pool.extend(pool)
    unary = outcome(lambda: connection.select(whole, timeout=20).ranking)
    streamed = outcome(lambda: joined(connection.select_stream(stream(whole), timeout=20)))
    if isinstance(unary, str):
        assert unary in REFUSALS
    else:
        assert all(map(math.isfinite, unary[1]))
    assert streamed == unary
    assert servers.wait_for(lambda: not any(one.held_bytes for one in server.admissions))


def test_a_message_says_what_its_pool_has_and_a_stream_what_is_to_come(running):
    """The one difference: in a message a pool of no rows may have elements, which is wrong."""
    _, connection = running
    whole = request()
    whole.pool[0].spec.shape[0] = 0
    assert outcome(lambda: connection.select(whole).ranking) == "INVALID_ARGUMENT"
    assert outcome(lambda: joined(connection.select_stream(stream(whole)))) == ([], [])
