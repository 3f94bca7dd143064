"""Row blocks on the wire without needless copies.

A row block is nearly all rows: the generated classes would copy them into the message, then
into its bytes, and on the other side out of the bytes and out of the message. Here they are
joined once, and read where they lie. What is written is what the generated classes write, and
what is read is the same for them; anything unusual is left to them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nextlabel.v1 import service_pb2, tensor_pb2
from nextlabel.wire import Buffer, Contents

# Tags: field number << 3 | wire type (0 a varint, 2 length and bytes).
_ROW_BLOCK = b"\x1a"  # SelectStreamRequest.row_block
_FIRST_ROW = b"\x08"  # RowBlock.first_row
_ROW_COUNT = b"\x10"  # RowBlock.row_count
_TENSOR = b"\x1a"  # RowBlock.tensors
_DATA = b"\x0a"  # TensorContents.data
_USUAL_TENSORS = 256  # of a block, at most


@dataclass(frozen=True, slots=True)
class Block:
    """A RowBlock: rows `first_row` to `first_row + row_count - 1` of every pool tensor."""

    first_row: int
    row_count: int
    tensors: Sequence[Contents]


Message = Block | service_pb2.SelectStreamRequest


def encode(message: Message) -> bytes:
    """The bytes of a SelectStreamRequest; of one that holds the block when it is a block."""
    if not isinstance(message, Block):
        return message.SerializeToString()
    body: list[Buffer] = []
    if message.first_row:  # proto3 leaves out what has its default value
        body += (_FIRST_ROW, varint(message.first_row))
    body += (_ROW_COUNT, varint(message.row_count))
    for contents in message.tensors:
        if isinstance(contents, tensor_pb2.TensorContents):
            serialized = contents.SerializeToString()
            body += (_TENSOR, varint(len(serialized)), serialized)
        elif len(contents):
            length = varint(len(contents))
            body += (_TENSOR, varint(1 + len(length) + len(contents)), _DATA, length, contents)
        else:
            body += (_TENSOR, varint(0))
    return b"".join((_ROW_BLOCK, varint(sum(map(len, body))), *body))


def decode(
    data: bytes,
    parse: Callable[[bytes], Message] = service_pb2.SelectStreamRequest.FromString,
) -> Message:
    """A SelectStreamRequest; as a Block, with views of `data`, when it holds just that.

    `parse` reads what is unusual.

    Raises:
        google.protobuf.message.DecodeError: these bytes are no SelectStreamRequest.
    """
    block = _block(memoryview(data)) if data[:1] == _ROW_BLOCK else None
    return block or parse(data)


def size(message: Message) -> int:
    """Bytes of a message; for a block those of its rows, which is nearly all."""
    if not isinstance(message, Block):
        return message.ByteSize()
    return sum(
        part.ByteSize() if isinstance(part, tensor_pb2.TensorContents) else len(part)
        for part in message.tensors
    )


def _block(data: memoryview) -> Block | None:
    """The block, if the bytes are laid out as `encode` and all generated classes lay them out."""
    try:
        length, at = _read_varint(data, 1)
        if at + length != len(data):
            return None
        first_row = row_count = 0
        if data[at : at + 1] == _FIRST_ROW:
            first_row, at = _read_varint(data, at + 1)
        if data[at : at + 1] == _ROW_COUNT:
            row_count, at = _read_varint(data, at + 1)
        tensors: list[Contents] = []
        while at < len(data):
            if data[at : at + 1] != _TENSOR or len(tensors) == _USUAL_TENSORS:
                return None
            length, at = _read_varint(data, at + 1)
            end = at + length
            contents = _contents(data[at:end])
            if contents is None or end > len(data):
                return None
            tensors.append(contents)
            at = end
    except (IndexError, OverflowError):
        return None
    return Block(first_row, row_count, tensors)


def _contents(data: memoryview) -> memoryview | None:
    """The data of a TensorContents that holds nothing else."""
    if not len(data):
        return data
    if data[:1] != _DATA:
        return None
    length, at = _read_varint(data, 1)
    return data[at:] if at + length == len(data) else None


def varint(number: int) -> bytes:
    """A number of at least 0 as it is on the wire."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends; raises for one that an int64 cannot hold."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise OverflowError
    if number >= 1 << 63:
        raise OverflowError
    return number, at
