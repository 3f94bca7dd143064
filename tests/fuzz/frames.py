"""Several messages in one input: each behind a byte 0 and its length, as gRPC has them."""

import struct

_HEAD = struct.Struct(">BI")


def join(messages: list[bytes]) -> bytes:
    return b"".join(_HEAD.pack(0, len(message)) + message for message in messages)


def split(data: bytes) -> list[bytes]:
    """The messages; the last one is whatever is left, whatever its length says."""
    messages = []
    while len(data) >= _HEAD.size:
        _, length = _HEAD.unpack_from(data)
        messages.append(data[_HEAD.size : _HEAD.size + length])
        data = data[_HEAD.size + length :]
    return messages
