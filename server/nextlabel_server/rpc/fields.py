"""How many fields a message has, counted on the wire before it is parsed.

An empty part of a message takes two bytes on the wire, and hundreds once it is an object: a
message of a few KiB, compressed, could take gigabytes.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor

from nextlabel_server.errors import InvalidRequest

MOST_FIELDS = 1 << 15
_SURELY_FEW = 2 * MOST_FIELDS  # bytes
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def counted(parse: Any) -> Callable[[bytes], Any]:  # noqa: ANN401 - FromString of some class
    """The parser of a generated class, for messages of not too many fields.

    Raises, when called:
        InvalidRequest: there are more than MOST_FIELDS, but for those of parts without parts.
    """
    message: Descriptor | None = getattr(getattr(parse, "__self__", None), "DESCRIPTOR", None)

    def parse_few(data: bytes) -> Any:  # noqa: ANN401 - whatever `parse` makes
        if message is not None and len(data) > _SURELY_FEW:
            _count(data, message)
        return parse(data)

    return parse_few


def _count(data: bytes, message: Descriptor) -> None:
    # What cannot be read is left to the parser: it stops there, too.
    left = [(message, 0, len(data))]
    fields = 0
    while left:
        message, at, end = left.pop()
        parts = _parts(message)
        while at < end:
            fields += 1
            if fields > MOST_FIELDS:
                raise InvalidRequest(
                    "request", f"a message of at most {MOST_FIELDS} fields is right"
                )
            tag, at = _varint(data, at)
            if tag & 7 == _LENGTH:
                length, at = _varint(data, at)
                if (part := parts.get(tag >> 3)) is not None:
                    left.append((part, at, min(at + length, end)))
                at += length
            elif tag & 7 == _VARINT:
                _, at = _varint(data, at)
            elif tag & 7 in (_EIGHT_BYTES, _FOUR_BYTES):
                at += 8 if tag & 7 == _EIGHT_BYTES else 4
            # Else it is the start or the end of a group, whose fields are counted as ours.


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends; at the end of the data there are zeros."""
    number = shift = 0
    while at < len(data):
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80 or shift > 63:
            break
        shift += 7
    return number, at


@cache
def _parts(message: Descriptor) -> Mapping[int, Descriptor]:
    """By field number the parts that have parts themselves."""
    fields = {field.number: field.message_type for field in message.fields}
    return {
        number: part
        for number, part in fields.items()
        if part is not None and any(field.message_type is not None for field in part.fields)
    }
