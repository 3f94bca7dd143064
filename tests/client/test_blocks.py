"""The hand-written block codec against the generated classes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel import blocks
from nextlabel.blocks import Block
from nextlabel.v1 import service_pb2, tensor_pb2
from tests.client.generated import assert_decoded_as_generated, generated

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


# Bytes as any writer may lay them out: fields in any order and number, unknown ones among them,
# numbers in more bytes than they take, packed elements and single ones.


def varint(number: int, spare: int = 0) -> bytes:
    digits = []
    while number > 0x7F or spare:
        digits.append(number & 0x7F | 0x80)
        spare -= number <= 0x7F
        number >>= 7
    return bytes([*digits, number])


def tag(field: int, wire_type: int) -> bytes:
    return varint(field << 3 | wire_type)


def sized(field: int, content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda data, spare: tag(field, 2) + varint(len(data), spare) + data, content, SPARE
    )


def number(field: int) -> st.SearchStrategy[bytes]:
    return st.builds(lambda n, spare: tag(field, 0) + varint(n, spare), NUMBERS, SPARE)


def fields(*kinds: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(st.one_of(*kinds, UNKNOWN), max_size=4).map(b"".join)


SPARE = st.sampled_from([0, 0, 0, 1, 2])
NUMBERS = st.integers(0, 3) | st.integers(0, 2**64 - 1)
BYTES = st.binary(max_size=200)
UNKNOWN = st.one_of(
    number(9),
    sized(15, BYTES),
    st.binary(min_size=8, max_size=8).map(lambda data: tag(16, 1) + data),
    st.binary(min_size=4, max_size=4).map(lambda data: tag(2000, 5) + data),
    BYTES.map(lambda data: tag(5, 3) + tag(1, 2) + varint(len(data)) + data + tag(5, 4)),
)
WIRE_CONTENTS = fields(
    sized(1, BYTES),
    sized(2, st.binary(max_size=4).map(lambda data: data * 4)),
    st.binary(min_size=4, max_size=4).map(lambda data: tag(2, 5) + data),
    sized(3, st.text(max_size=5).map(str.encode)),
)
WIRE_BLOCKS = fields(number(1), number(2), sized(3, WIRE_CONTENTS), sized(3, sized(1, BYTES)))
WIRE_REQUESTS = fields(sized(3, WIRE_BLOCKS)) | sized(3, WIRE_BLOCKS)


@settings(max_examples=400, deadline=None)
@given(WIRE_REQUESTS)
def test_any_layout_is_decoded_as_by_the_generated_classes(data):
    assert_decoded_as_generated(data)


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

    assert_decoded_as_generated(data)


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
    assert_decoded_as_generated(data)


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
    assert_decoded_as_generated(data)
