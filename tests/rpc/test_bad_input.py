"""Whatever is wrong with a request, it is refused with the right code, the field, and help."""

import re

import numpy as np
import pytest
from google.protobuf import struct_pb2

from nextlabel.v1 import service_pb2
from tests.rpc.calls import (
    HALVES,
    Connection,
    assert_unharmed,
    refusal,
    request,
    stream,
    tensor,
)
from tests.servers import ServerProcess

MAX_ROWS = 10_000
EMOJI = "🂡" * 256


@pytest.fixture(scope="module")
def running():
    limits = {"max_rows": MAX_ROWS, "max_message_bytes": 1 << 20}
    with ServerProcess(**limits, memory_budget_bytes=64 << 20, stall_seconds=5) as server:
        yield server
        assert "INVALID_ARGUMENT" in {call["status"] for call in server.events("call")}
        assert_unharmed(server)


@pytest.fixture
def connection(running):
    with Connection(running.address) as opened:
        yield opened


def row(*values):
    """Four right rows, but for number 2."""
    rows = HALVES.copy()
    rows[2] = values
    return tensor(array=rows)


def excluded(*rows, kind="int64"):
    return {"references": [tensor("excluded", np.array(rows, kind))]}


def costs(matrix):
    matrix = np.array(matrix, float)
    return {"strategy": "expected_cost", "references": [tensor("cost_matrix", matrix)]}


def parameter(**values):
    struct = struct_pb2.Struct()
    for name, value in values.items():
        struct.fields[name].CopyFrom(value)
    return {"parameters": struct}


def value(**kind):
    return struct_pb2.Value(**kind)


def relevance(**values):
    return {"strategy": "relevance", **parameter(**values)}


NAN = float("nan")
NESTED = struct_pb2.Struct(fields={"a": value(number_value=NAN)})
INVALID = {
    "too few bytes": (
        request(tensor(data=bytes(31))),
        "probabilities",
        r"found 31 bytes; shape \[4, 2\] of float32 takes 32",
    ),
    "too many bytes": (request(tensor(data=bytes(33))), "probabilities", "found 33 bytes"),
    "no bytes": (request(tensor(data=b"")), "probabilities", "found 0 bytes"),
    "bytes of another type": (request(tensor(kind=3)), "probabilities", "32 bytes.*takes 64"),
    "product over int64": (
        request(tensor(shape=[2**32, 2**32])),
        "probabilities",
        "product overflows",
    ),
    "product over int64 by far": (
        request(tensor(shape=[2, *[2**62] * 31])),
        "probabilities",
        "product overflows",
    ),
    "thousands of axes": (
        request(tensor(shape=[2**62] * 100_000)),
        "probabilities",
        "found 100000 axes; at most 32",
    ),
    "no columns": (
        request(tensor(array=HALVES[:, :0])),
        "probabilities",
        r"found shape \[4, 0\]; C must be at least 1",
    ),
    "no shape": (request(tensor(shape=[])), "probabilities", "found no shape; the row axis"),
    "one axis": (
        request(tensor(shape=[8])),
        "probabilities",
        r"found shape \[8\]; \[N, C\] is right",
    ),
    "three axes": (request(tensor(shape=[2, 2, 2])), "probabilities", r"\[N, C\] is right"),
    "negative axis": (request(tensor(shape=[4, -2])), "probabilities", "sizes are at least 0"),
    "negative rows": (request(tensor(shape=[-4, 2])), "probabilities", "sizes are at least 0"),
    "NaN": (request(row(NAN, 0.5)), "probabilities", "row 2 has nan in column 0; finite"),
    "infinity": (request(row(0.5, np.inf)), "probabilities", "row 2 has inf in column 1"),
    "negative": (
        request(row(-0.5, 1.5)),
        "probabilities",
        "row 2 has -0.5 in column 0; .*set the parameter activation",
    ),
    "sum": (
        request(row(0.5, 0.6)),
        "probabilities",
        "row 2 sums to 1.1; 1 within 0.001 is right .*renormalize",
    ),
    "logits of infinity": (
        request(row(np.inf, 0), **parameter(activation=value(string_value="softmax"))),
        "probabilities",
        "row 2 has inf",
    ),
    "unset type": (request(tensor(kind=0)), "probabilities", "found data type 0; one of DataType"),
    "unknown type": (request(tensor(kind=99)), "probabilities", "found data type 99"),
    "whole numbers": (
        request(tensor(kind=6)),
        "probabilities",
        "found int32; it takes float16, float32, float64",
    ),
    "text": (
        request(tensor(kind=13, strings=["0.5"] * 8)),
        "probabilities",
        "found object; it takes float16|found text; it takes float16",
    ),
    "text for floats": (
        request(tensor(strings=["0.5"] * 8)),
        "probabilities",
        "found strings; a tensor of float32 has its elements in data",
    ),
    "values and data": (
        request(tensor(values=[0.5] * 8, data=HALVES.tobytes())),
        "probabilities",
        "both data and values are set; exactly one",
    ),
    "too few values": (request(tensor(values=[0.5] * 7)), "probabilities", "found 7 values; 8"),
    "values for doubles": (
        request(tensor(kind=3, values=[0.5] * 8)),
        "probabilities",
        "values are for FP32; a tensor of float64",
    ),
    "tensor twice": (request(tensor(), tensor()), "probabilities", "declared more than once"),
    "1000 tensors": (
        request(*(tensor(f"t{i}") for i in range(1000))),
        "tensors",
        "more than 256 of one kind",
    ),
    "unknown tensor": (
        request(tensor(), tensor("confidence")),
        "confidence",
        "unknown pool tensor; there are .*probabilities",
    ),
    "unknown reference": (
        request(references=[tensor("labels")]),
        "labels",
        "unknown reference tensor; there are cost_matrix, excluded",
    ),
    "nameless tensor": (request(tensor("")), "[0].name", "1 to 256 characters"),
    "huge name": (request(tensor("n" * 500_000)), "[0].name", "1 to 256 characters"),
    "name of emoji": (request(tensor(EMOJI)), EMOJI, "unknown pool tensor"),
    "no pool": (
        service_pb2.SelectRequest(spec=request().spec),
        "probabilities",
        "missing; entropy needs it",
    ),
    "no rows for random": (
        service_pb2.SelectRequest(spec=request(strategy="random").spec),
        "row_count",
        "missing; random needs the pool's size",
    ),
    "negative row_count": (
        service_pb2.SelectRequest(spec=request(strategy="random").spec, row_count=-1),
        "row_count",
        "found -1 rows; at least 0",
    ),
    "another row_count": (
        request(row_count=5),
        "row_count",
        "found 5 rows; probabilities has 4",
    ),
    "inputs without a model": (
        request(inputs=[tensor("x")]),
        "inputs",
        "sent without a model; name one in models",
    ),
    "an embedding that is too large": (
        request(tensor("embeddings", np.full((4, 2), 1e16)), strategy="k_center"),
        "embeddings",
        r"row 0 has 1e\+16 in column 0; numbers of at most 1e\+15 in size are right",
    ),
    "a prediction that is too large": (
        request(tensor("predictions", np.full(4, -1e101)), strategy="greedy_y"),
        "predictions",
        r"row 0 has -1e\+101; numbers of at most 1e\+100 in size are right",
    ),
    "no strategy": (request(strategy=""), "strategy", "missing; there are .*entropy"),
    "no budget": (
        request(budget=None),
        "budget",
        "missing; a count, a fraction or a cost is right",
    ),
    "budget 0": (request(budget={"count": 0}), "budget.count", "found 0; at least 1"),
    "negative budget": (request(budget={"count": -(2**63)}), "budget.count", "at least 1"),
    "fraction 0": (request(budget={"fraction": 0}), "budget.fraction", "found 0; above 0"),
    "fraction above 1": (request(budget={"fraction": 1.01}), "budget.fraction", "at most 1"),
    "fraction NaN": (request(budget={"fraction": NAN}), "budget.fraction", "found nan"),
    "excluded beyond": (
        request(**excluded(1, 4)),
        "excluded",
        "found 4 at position 1; 0 to 3 is right",
    ),
    "excluded below": (request(**excluded(-1)), "excluded", "found -1 at position 0"),
    "excluded of uint32": (request(**excluded(2**32 - 1, kind="uint32")), "excluded", "4294967295"),
    "excluded twice": (request(**excluded(3, 1, 3)), "excluded", "row 3 is named more than once"),
    "excluded as floats": (
        request(**excluded(1, kind="float32")),
        "excluded",
        "found float32; it takes int64, int32, uint32",
    ),
    "excluded in a matrix": (
        request(references=[tensor("excluded", np.zeros((1, 1), np.int64))]),
        "excluded",
        r"found shape \[1, 1\]; \[K\] is right",
    ),
    "excluded of unknown length": (
        request(references=[tensor("excluded", np.zeros(1, np.int64), shape=[-1])]),
        "excluded",
        r"found shape \[-1\]; sizes are at least 0",
    ),
    "no cost matrix": (
        request(strategy="expected_cost"),
        "cost_matrix",
        r"missing; expected_cost needs it, as \[C, C\]",
    ),
    "oblong cost matrix": (request(**costs([[1, 2]])), "cost_matrix", r"found shape \[1, 2\]"),
    "cost matrix of 3": (
        request(**costs(np.eye(3))),
        "cost_matrix",
        r"found shape \[3, 3\]; \[C, C\] with C = 2, as in probabilities",
    ),
    "cost matrix with NaN": (
        request(**costs([[0, 1], [NAN, 0]])),
        "cost_matrix",
        r"found nan at \[1, 0\]; finite",
    ),
    "one class": (
        request(tensor(array=np.ones((4, 1), np.float32)), strategy="margin"),
        "probabilities",
        "found 1 class; margin needs at least 2",
    ),
    "unknown parameter": (
        request(**parameter(normalise=value(bool_value=True))),
        "parameters.normalise",
        "unknown; entropy takes normalize, ",
    ),
    "parameter of the wrong type": (
        request(**parameter(normalize=value(number_value=1))),
        "parameters.normalize",
        "found 1.0; true or false is right",
    ),
    "missing parameter": (
        request(strategy="relevance"),
        "parameters.class_index",
        "missing; relevance needs it: a whole number at least 0",
    ),
    "parameter below its range": (
        request(**relevance(class_index=value(number_value=-1))),
        "parameters.class_index",
        "found -1.0; a whole number at least 0",
    ),
    "fraction for a whole number": (
        request(**relevance(class_index=value(number_value=0.5))),
        "parameters.class_index",
        "found 0.5; a whole number",
    ),
    "class out of range": (
        request(**relevance(class_index=value(number_value=2))),
        "parameters.class_index",
        "found 2; the pool has 2 classes, so 0 to 1",
    ),
    "class far out of range": (
        request(**relevance(class_index=value(number_value=1e300))),
        "parameters.class_index",
        "the pool has 2 classes",
    ),
    "parameter above its range": (
        request(**parameter(tolerance=value(number_value=0.6))),
        "parameters.tolerance",
        "at most 0.5",
    ),
    "parameter out of choice": (
        request(**parameter(activation=value(string_value="x" * 9000))),
        "parameters.activation",
        "found 'xxx.*; one of auto, none, softmax, sigmoid",
    ),
    "parameter NaN": (
        request(**parameter(tolerance=value(number_value=NAN))),
        "parameters.tolerance",
        "found nan; a finite number",
    ),
    "parameter infinite": (
        request(**parameter(tolerance=value(number_value=np.inf))),
        "parameters.tolerance",
        "found inf; a finite number",
    ),
    "parameter without a value": (
        request(**parameter(tolerance=value())),
        "parameters.tolerance",
        "a number, bool or string is right",
    ),
    "parameter null": (
        request(**parameter(tolerance=value(null_value=0))),
        "parameters.tolerance",
        "a number, bool or string is right",
    ),
    "parameter nested": (
        request(**parameter(tolerance=value(struct_value=NESTED))),
        "parameters.tolerance",
        "a number, bool or string is right",
    ),
    "parameter of a huge name": (
        request(**parameter(**{"p" * 100_000: value(number_value=1)})),
        "parameters." + "p" * 1000,
        "unknown; entropy takes",
    ),
    "sampling parameter": (
        request(sampling={"method": "power", **parameter(beta=value(number_value=-1))}),
        "sampling.parameters.beta",
        "found -1.0; a finite number at least 0",
    ),
    "sampling that the scores forbid": (
        request(sampling={"method": "power"}, **costs(np.eye(2))),
        "sampling.method",
        "power needs scores of at least 0.*softmax or softrank",
    ),
    "request_id of two lines": (
        request(request_id="a\nb"),
        "request_id",
        "at most 128 printable ASCII characters",
    ),
    "request_id too long": (request(request_id="a" * 100_000), "request_id", "at most 128"),
    "request_id of emoji": (request(request_id=EMOJI), "request_id", "at most 128 printable"),
}


@pytest.mark.parametrize("shape_of_call", ["unary", "streamed"])
@pytest.mark.parametrize("case", INVALID)
def test_what_is_wrong_is_named(connection, case, shape_of_call):
    whole, field, text = INVALID[case]
    if shape_of_call == "unary":
        found = refusal(lambda: connection.select(whole, timeout=10))
    else:
        found = refusal(lambda: connection.select_stream(stream(whole), timeout=10))
    assert (found.code, found.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    [(at, description)] = found.violations.items()
    assert at == field or (at.endswith("…") and at[:99] == field[:99])
    assert re.search(text, description)
    assert found.retry_seconds is None


@pytest.mark.parametrize(
    ("whole", "text"),
    [
        (request(strategy="entropie"), "strategy: 'entropie' is unknown; there are .*entropy"),
        (request(strategy="e" * 100_000), "is unknown; there are"),
        (
            request(prefilter={"strategy": "nope", "factor": 2}),
            "prefilter.strategy: .nope. is unknown",
        ),
        (request(sampling={"method": "best"}), "sampling.*'best' is unknown; .*top"),
        (request(models=[{"name": "digits"}]), "no model 'digits' on this server; it serves none"),
        (request(models=[{"name": "../../etc/passwd"}]), "no model"),
        (request(models=[{"name": ""}]), "no model ''"),
    ],
)
def test_what_does_not_exist_is_not_found(connection, whole, text):
    for call in (
        lambda: connection.select(whole, timeout=10),
        lambda: connection.select_stream(stream(whole), timeout=10),
    ):
        found = refusal(call)
        assert (found.code, found.reason) == ("NOT_FOUND", "UNKNOWN_NAME")
        assert re.search(text, found.message)
