"""Streams out of order, bytes that are no message, messages that are too large."""

import re
import threading

import numpy as np
import pytest

from nextlabel.v1 import service_pb2
from tests.rpc.calls import (
    HALVES,
    Connection,
    assert_unharmed,
    block,
    header,
    joined,
    refusal,
    request,
    stream,
    tensor,
)
from tests.servers import ServerProcess

MAX_MESSAGE = 1 << 20
SERVICE = "/nextlabel.v1.QuerySelectionService/"
METHODS = {
    SERVICE + "Select": "unary_unary",
    SERVICE + "SelectStream": "stream_stream",
    SERVICE + "ListStrategies": "unary_unary",
    SERVICE + "ListModels": "unary_unary",
    SERVICE + "GetServerInfo": "unary_unary",
    "/grpc.health.v1.Health/Check": "unary_unary",
    "/grpc.health.v1.Health/Watch": "unary_stream",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "stream_stream",
}


@pytest.fixture(scope="module")
def running():
    with ServerProcess(max_rows=10_000, max_message_bytes=MAX_MESSAGE) as server:
        yield server
        assert_unharmed(server)


@pytest.fixture
def connection(running):
    with Connection(running.address) as opened:
        yield opened


def declared(rows=4, **changes):
    return header(request(tensor(shape=[rows, 2]), **changes))


def reference_block(first_row, *rows, name="excluded", row_count=None):
    return service_pb2.SelectStreamRequest(
        reference_block=service_pb2.ReferenceBlock(
            name=name,
            first_row=first_row,
            row_count=len(rows) if row_count is None else row_count,
            contents={"data": np.array(rows, np.int64).tobytes()},
        )
    )


EXCLUDING = header(request(references=[tensor("excluded", np.zeros(2, np.int64))]), streamed=True)
EMPTY = service_pb2.SelectStreamRequest()
WRONG_STREAMS = {
    "nothing": ([], "header", "missing; the first message of a stream is a header"),
    "an empty message first": ([EMPTY], "header", "missing"),
    "a block first": ([block(0, 4, HALVES)], "header", "missing"),
    "the header twice": ([declared(), declared()], "header", "sent a second time"),
    "an empty message": ([declared(), EMPTY], "message", "empty; a row block is right"),
    "a block that starts late": (
        [declared(), block(1, 3, HALVES[1:])],
        "row_block.first_row",
        "found 1; 0 rows were received so far",
    ),
    "a block that starts before 0": (
        [declared(), block(-1, 4, HALVES)],
        "row_block.first_row",
        "found -1",
    ),
    "a block twice": (
        [declared(), block(0, 2, HALVES[:2]), block(0, 2, HALVES[:2])],
        "row_block.first_row",
        "found 0; 2 rows",
    ),
    "rows missing": (
        [declared(), block(0, 3, HALVES[:3])],
        "row_block",
        "the stream ended after 3 of 4 rows",
    ),
    "all rows missing": ([declared()], "row_block", "the stream ended after 0 of 4 rows"),
    "too many rows": (
        [declared(3), block(0, 4, HALVES)],
        "row_block.row_count",
        "found 4 rows after 0; the header declares 3 in all",
    ),
    "a block after the end": (
        [declared(), block(0, 4, HALVES), block(4, 1, HALVES[:1])],
        "row_block.row_count",
        "found 1 rows after 4; the header declares 4",
    ),
    "a block of no rows": (
        [declared(), block(0, 0, HALVES[:0])],
        "row_block.row_count",
        "found 0; at least 1",
    ),
    "a block of fewer than no rows": (
        [declared(), block(0, -4, HALVES)],
        "row_block.row_count",
        "found -4",
    ),
    "a block of other rows": (
        [declared(), block(0, 2, HALVES)],
        "probabilities",
        r"rows 0 to 1: found 32 bytes; shape \[2, 2\] of float32 takes 16",
    ),
    "a block without tensors": (
        [declared(), block(0, 4)],
        "row_block.tensors",
        "found 0 tensors; the header declares 1",
    ),
    "a block with too many tensors": (
        [declared(), block(0, 4, HALVES, HALVES)],
        "row_block.tensors",
        "found 2 tensors; the header declares 1",
    ),
    "a bad row in a later block": (
        [declared(), block(0, 2, HALVES[:2]), block(2, 2, HALVES[:2] * np.float32([[1], [3]]))],
        "probabilities",
        "row 3 sums to 3",
    ),
    "values and data in a block": (
        [declared(), block(0, 4, {"data": HALVES.tobytes(), "values": [1] * 8})],
        "probabilities",
        "both data and values",
    ),
    "strings in a block": (
        [declared(), block(0, 4, {"strings": ["0.5"] * 8})],
        "probabilities",
        "found strings",
    ),
    "a reference that nobody declared": (
        [declared(), reference_block(0, 1)],
        "reference_block.name",
        "found 'excluded'; none, for all have arrived, is right",
    ),
    "another reference than declared": (
        [EXCLUDING, reference_block(0, 1, name="cost_matrix")],
        "reference_block.name",
        "found 'cost_matrix'; excluded is right",
    ),
    "a reference from its second row": (
        [EXCLUDING, reference_block(1, 1)],
        "reference_block",
        "found rows 1 to 1 of excluded; it has 2 and 0 were received so far",
    ),
    "more of a reference than declared": (
        [EXCLUDING, reference_block(0, 1, 2, 3)],
        "reference_block",
        "found rows 0 to 2",
    ),
    "none of a reference": ([EXCLUDING, reference_block(0)], "reference_block", "found rows 0"),
    "rows before the end of a reference": (
        [EXCLUDING, reference_block(0, 1), block(0, 4, HALVES)],
        "reference_block",
        "rows of the pool were sent before all of excluded",
    ),
    "the end before the end of a reference": (
        [EXCLUDING, reference_block(0, 1)],
        "reference_block",
        "the stream ended before all of excluded",
    ),
    "a reference of the wrong length": (
        [EXCLUDING, reference_block(0, 1, row_count=2)],
        "excluded",
        r"found 8 bytes; shape \[2\] of int64 takes 16",
    ),
    "a reference with a wrong row": (
        [EXCLUDING, reference_block(0, 1, 9), block(0, 4, HALVES)],
        "excluded",
        "found 9 at position 1",
    ),
    "a reference in the header and streamed": (
        [
            service_pb2.SelectStreamRequest(
                header=service_pb2.SelectStreamHeader(
                    spec=request().spec,
                    pool=[tensor().spec],
                    references=[tensor("excluded", np.zeros(2, np.int64))],
                    streamed_references=[tensor("excluded", np.zeros(2, np.int64)).spec],
                )
            )
        ],
        "references",
        "both in the header and streamed",
    ),
    "one tensor of unknown and one of known length": (
        [header(request(tensor(shape=[-1, 2]), row_count=4))],
        "row_count",
        "found 4 rows; probabilities has -1",
    ),
}


@pytest.mark.parametrize("case", WRONG_STREAMS)
def test_a_wrong_stream_is_refused_where_it_is_wrong(connection, case):
    messages, field, text = WRONG_STREAMS[case]
    found = refusal(lambda: connection.select_stream(iter(messages), timeout=10))
    assert (found.code, found.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    [(at, description)] = found.violations.items()
    assert at == field
    assert re.search(text, description)


def test_what_the_header_gets_wrong_is_said_before_a_row_is_sent(connection):
    never = threading.Event()

    def header_alone():
        yield header(request(budget={"count": 0}))
        never.wait(5)

    found = refusal(lambda: connection.select_stream(header_alone(), timeout=3))
    never.set()
    assert found.violations == {"budget.count": "found 0; at least 1 is right"}


def test_a_unary_pool_has_all_its_rows(connection):
    for shape in ([-1, 2], [4, -1]):
        found = refusal(lambda shape=shape: connection.select(request(tensor(shape=shape))))
        assert found.code == "INVALID_ARGUMENT"
        assert "only a stream may leave N open" in found.violations["probabilities"]
    found = refusal(lambda: connection.select(request(tensor(array=HALVES[:0], data=bytes(8)))))
    assert found.violations == {"probabilities": "found elements; shape [0, 2] has none"}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("labeled_embeddings", [0, 0, 2**62]),
        ("cost_matrix", [0, 2**62, 0]),
        ("labeled_probabilities", [2**62, 0]),
        ("probabilities", [4, 0, 2**62]),
    ],
)
def test_sizes_that_overflow_beside_a_zero_are_refused(connection, name, shape):
    whole = request()
    if name == "probabilities":
        whole = request(tensor(shape=shape))
    messages = header(whole, streamed=True)
    if name != "probabilities":
        messages.header.streamed_references.add(name=name, data_type=2, shape=shape)
    found = refusal(lambda: connection.select_stream(iter([messages]), timeout=5))
    assert found.code == "INVALID_ARGUMENT"
    assert found.violations == {name: f"found shape {shape}; its product overflows"}


def pool_of(row_count):
    whole = request(strategy="random", row_count=row_count)
    del whole.pool[:]
    return whole


@pytest.mark.parametrize(
    ("whole", "text"),
    [
        (request(tensor(shape=[10_001, 2])), "the pool has 10001 rows; this server takes 10000"),
        (pool_of(2**62), "the pool has 4611686018427387904 rows"),
        (request(tensor(shape=[1, 2**40])), "probabilities: one row takes 4398046511104 bytes"),
        (
            request(
                tensor(shape=[4, 10**5]),
                strategy="expected_cost",
                references=[tensor("cost_matrix", np.eye(1), shape=[10**5, 10**5])],
            ),
            "this pool takes 800.* bytes of memory; this server has",
        ),
    ],
)
def test_a_declaration_over_a_limit_is_refused_for_good(connection, whole, text):
    messages = [header(whole, streamed=True)]
    found = refusal(lambda: connection.select_stream(iter(messages), timeout=10))
    assert (found.code, found.reason) == ("RESOURCE_EXHAUSTED", "OVER_LIMIT")
    assert re.search(text, found.message)
    assert found.retry_seconds is None


def test_a_pool_that_grows_over_the_limit_is_refused_for_good(connection):
    half = np.full((5_000, 2), 0.5, np.float32)
    blocks = [block(first, 5_000, half) for first in (0, 5_000, 10_000)]
    messages = [header(request(tensor(shape=[-1, 2]))), *blocks]
    found = refusal(lambda: connection.select_stream(iter(messages), timeout=10))
    assert (found.code, found.reason, found.retry_seconds) == (
        "RESOURCE_EXHAUSTED",
        "OVER_LIMIT",
        None,
    )
    assert "over 10000 rows" in found.message
    assert joined(connection.select_stream(iter(messages[:-1]))).summary.row_count == 10_000


@pytest.mark.parametrize("first", [True, False])
def test_a_message_over_the_size_limit_is_refused_for_good(connection, running, first):
    rows = np.full((MAX_MESSAGE // 8 + 1, 2), 0.5, np.float32)
    whole = request(tensor(array=rows))
    calls = [lambda: connection.select(whole), lambda: connection.select_stream(stream(whole))]
    if not first:
        calls = [lambda: connection.select_stream(iter([declared(), block(0, len(rows), rows)]))]
    for call in calls:
        found = refusal(call)
        assert (found.code, found.retry_seconds) == ("RESOURCE_EXHAUSTED", None)
        assert found.reason == "OVER_LIMIT" or "larger than max" in found.message


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x7f", b"\x08"])
def test_bytes_that_are_no_message_are_invalid_and_no_defect(connection, method, data):
    kind = METHODS[method]
    call = getattr(connection.channel, kind)(method)
    sent = iter([data]) if kind.startswith("stream") else data
    found = refusal(lambda: call(sent, timeout=5))
    assert (found.code, found.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert found.violations == {"request": "these bytes are not a message of this method"}


def test_text_that_is_not_utf8_is_invalid_and_no_defect(connection):
    call = connection.channel.unary_unary(SERVICE + "Select")
    found = refusal(lambda: call(b"\x0a\x04\x0a\x02\xc3\x28"))
    assert found.code == "INVALID_ARGUMENT"


def test_bytes_that_are_no_block_in_mid_stream_are_invalid(connection):
    call = connection.channel.stream_stream(SERVICE + "SelectStream")
    good = declared().SerializeToString()
    for bad in (b"\x1a\x7f\x08", b"\x1a\x04\x1a\x7f\x0a\x00", b"\x1a\x0b\x08" + b"\xff" * 10):
        found = refusal(lambda bad=bad: call(iter([good, bad]), timeout=5))
        assert found.code == "INVALID_ARGUMENT"


def test_an_unknown_method_is_unimplemented(connection):
    call = connection.channel.unary_unary(SERVICE + "SelectAll")
    assert refusal(lambda: call(b"")).code == "UNIMPLEMENTED"


def test_fields_of_a_later_version_are_ignored(connection):
    whole = request()
    whole.MergeFromString(b"\xfa\x3f\x03new")
    assert list(connection.select(whole).ranking.indices) == [0, 1]
    later = declared().SerializeToString(), block(0, 4, HALVES).SerializeToString()
    call = connection.channel.stream_stream(SERVICE + "SelectStream")
    assert list(call(data + b"\xfa\x3f\x03new" for data in later))


@pytest.mark.parametrize("streamed", [False, True], ids=["alone", "with references to come"])
def test_a_class_that_the_pool_lacks_is_refused_at_the_header(connection, streamed):
    whole = request(
        tensor(shape=[1000, 2]),
        strategy="relevance",
        references=[tensor("excluded", np.arange(3))] if streamed else (),
    )
    whole.spec.parameters["class_index"] = 2
    answered = threading.Event()

    def header_alone():
        yield header(whole, streamed=streamed)
        answered.wait(10)

    refused = refusal(lambda: connection.select_stream(header_alone()))
    answered.set()
    assert refused.violations == {
        "parameters.class_index": "found 2; the pool has 2 classes, so 0 to 1 is right"
    }


def test_a_sigmoid_makes_two_classes_of_one_column(connection):
    whole = request(tensor(array=np.float32([[-1], [2]])), strategy="relevance")
    whole.spec.parameters.update({"class_index": 1, "activation": "sigmoid"})
    assert joined(connection.select_stream(stream(whole))).indices == [1, 0]
    whole.spec.parameters["class_index"] = 2
    refused = refusal(lambda: connection.select_stream(iter([header(whole)])))
    assert "the pool has 2 classes" in refused.message


UNUSED = {
    "embeddings": np.full((4, 3), np.nan),
    "costs": np.zeros(4),
    "std": -np.ones(4),
    "labeled_embeddings": np.full((2, 9), np.inf),
    "cost_matrix": np.ones((5, 5)),
}


@pytest.mark.parametrize("name", UNUSED)
def test_a_tensor_that_the_call_does_not_use_is_ignored(connection, name):
    unused = tensor(name, UNUSED[name])
    rows = np.float32([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3], [0.6, 0.4]])
    if len(unused.spec.shape) == 2 and unused.spec.shape[0] != 4:
        whole = request(tensor(array=rows), references=[unused])
    else:
        whole = request(tensor(array=rows), unused)
    assert list(connection.select(whole).ranking.indices) == [1, 3]


@pytest.mark.parametrize("rows", ["pool", "reference"])
def test_only_model_inputs_hold_text_which_nobody_would_have_reserved_memory_for(connection, rows):
    text = tensor("std" if rows == "pool" else "cost_matrix", kind=13, shape=[4], strings=["a"] * 4)
    whole = request(tensor(), text) if rows == "pool" else request(references=[text])
    calls = [
        lambda: connection.select(whole),
        lambda: connection.select_stream(iter([header(whole)]), timeout=10),
        lambda: connection.select_stream(iter([header(whole, streamed=True)]), timeout=10),
    ]
    for call in calls:
        found = refusal(call)
        assert (found.code, found.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
        assert found.violations == {
            text.spec.name: "found text; only the inputs of a model may hold text"
        }


@pytest.mark.parametrize(
    ("unused", "said"),
    [
        (tensor("embedings", np.ones((4, 3))), "unknown pool tensor"),
        (tensor("embeddings", np.ones((5, 3))), "found 5 rows; probabilities has 4"),
        (tensor("embeddings", np.ones((4, 3)), shape=[4, 2]), "embeddings"),
    ],
    ids=["a name that nothing takes", "other rows", "another length"],
)
def test_an_unused_tensor_is_still_what_the_contract_says(connection, unused, said):
    assert said in refusal(lambda: connection.select(request(tensor(), unused))).message
