"""The hand-written block codec against the generated classes."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from nextlabel import blocks
from nextlabel.blocks import Block
from nextlabel.v1 import service_pb2, tensor_pb2
from tests.client.generated import as_message, generated

INT64 = st.integers(-(2**63), 2**63 - 1)
ROW_NUMBERS = st.integers(0, 2**63 - 1)
CONTENTS = st.builds(
    tensor_pb2.TensorContents,
    data=st.binary(max_size=300),
    values=st.lists(st.floats(width=32, allow_nan=False), max_size=3),
    strings=st.lists(st.text(max_size=5), max_size=3),
)
ROW_BLOCKS = st.builds(
    service_pb2.RowBlock,
    first_row=INT64,
    row_count=INT64,
    tensors=st.lists(CONTENTS, max_size=3),
)


@given(ROW_NUMBERS, ROW_NUMBERS, st.lists(st.binary(max_size=300) | CONTENTS, max_size=3))
def test_an_encoded_block_is_what_the_generated_classes_write(first_row, row_count, parts):
    tensors = [
        part
        if isinstance(part, tensor_pb2.TensorContents)
        else tensor_pb2.TensorContents(data=part)
        for part in parts
    ]
    expected = service_pb2.RowBlock(first_row=first_row, row_count=row_count, tensors=tensors)

    assert generated(blocks.encode(Block(first_row, row_count, parts))).row_block == expected


@given(ROW_BLOCKS)
def test_a_block_from_the_generated_classes_is_decoded_as_they_would(row_block):
    data = service_pb2.SelectStreamRequest(row_block=row_block).SerializeToString()

    assert as_message(blocks.decode(data)) == generated(data)


def test_the_rows_of_a_block_are_not_copied():
    data = blocks.encode(Block(5, 1, [b"x" * 1000]))

    decoded = blocks.decode(data)

    assert isinstance(decoded, Block)
    assert decoded.tensors[0].obj is data


def test_other_messages_are_left_to_the_generated_classes():
    request = service_pb2.SelectStreamRequest(header=service_pb2.SelectStreamHeader(row_count=3))

    assert blocks.decode(blocks.encode(request)) == request


@given(st.binary(max_size=60).map(lambda tail: b"\x1a" + tail) | st.binary(max_size=60))
def test_random_bytes_are_decoded_or_refused_as_by_the_generated_classes(data):
    try:
        expected = generated(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            blocks.decode(data)
    else:
        assert as_message(blocks.decode(data)) == expected


@given(ROW_BLOCKS, st.data())
def test_damaged_and_reordered_blocks_are_decoded_as_by_the_generated_classes(row_block, draw):
    body = bytearray(service_pb2.SelectStreamRequest(row_block=row_block).SerializeToString())
    for _ in range(draw.draw(st.integers(1, 3))):
        where = draw.draw(st.integers(0, len(body)))
        kind = draw.draw(st.sampled_from(["change", "insert", "cut", "append"]))
        if kind == "change" and where < len(body):
            body[where] = draw.draw(st.integers(0, 255))
        elif kind == "insert":
            body.insert(where, draw.draw(st.integers(0, 255)))
        elif kind == "cut":
            del body[where:]
        else:  # merges, unknown fields and another order of fields are all legal
            body += draw.draw(
                st.sampled_from([bytes(body), b"\x98\x06\x01", b"\x1a\x02\x08\x07", b"\x1a\x00"])
            )
    data = bytes(body)
    try:
        expected = generated(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            blocks.decode(data)
    else:
        assert as_message(blocks.decode(data)) == expected
