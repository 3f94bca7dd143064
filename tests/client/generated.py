"""What the generated classes make of bytes, to hold the hand-written codec against."""

import pytest
from google.protobuf.message import DecodeError

from nextlabel import blocks
from nextlabel.blocks import Block
from nextlabel.v1 import service_pb2, tensor_pb2


def generated(data: bytes) -> service_pb2.SelectStreamRequest:
    return service_pb2.SelectStreamRequest.FromString(data)


def as_message(decoded: blocks.Message) -> service_pb2.SelectStreamRequest:
    """What was decoded, as the generated classes would hold it."""
    if not isinstance(decoded, Block):
        return decoded
    tensors = [tensor_pb2.TensorContents(data=bytes(part)) for part in decoded.tensors]
    return service_pb2.SelectStreamRequest(
        row_block=service_pb2.RowBlock(
            first_row=decoded.first_row, row_count=decoded.row_count, tensors=tensors
        )
    )


def assert_decoded_as_generated(data: bytes) -> None:
    """The codec makes of bytes what the generated classes do, or refuses them as they do."""
    try:
        expected = generated(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            blocks.decode(data)
    else:
        # As bytes, because NaN is not equal to itself.
        found = as_message(blocks.decode(data))
        assert found.SerializeToString() == expected.SerializeToString()
