"""Real messages made wrong: in their bytes, in what their fields say, or in their order."""

import contextlib
import random
from collections.abc import Callable
from functools import cache

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from nextlabel_server.selection import all_samplings, all_strategies

_WHOLE = [0, 1, 2, 3, 4, -1, -2, 255, 1 << 16, 10_000, 10_001, 1 << 31, 1 << 32, 1 << 40]
_WHOLE += [-(1 << 63), (1 << 63) - 1, 1 << 62, (1 << 64) - 1]
_REAL = [0.0, -0.0, 0.5, 1.0, -1.0, 2.0, 1e-300, 1e300, -1e300]
_REAL += [float("nan"), float("inf"), float("-inf")]
_TEXT = ["", "\0", "x" * 300, "é" * 200, "m", "../m", "tensors"]


def mutate_messages(messages: list[bytes], kind: type[Message], rng: random.Random) -> list[bytes]:
    """The messages of a call, of which most are still as they were."""
    messages = list(messages) or [b""]
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(messages))
        what = rng.choice(["field", "field", "field", "bytes", "order"])
        if what == "field":
            messages[at] = mutate_field(messages[at], kind, rng)
        elif what == "bytes":
            messages[at] = mutate_bytes(messages[at], rng)
        else:
            other = rng.randrange(len(messages))
            change = rng.choice(["swap", "again", "drop"])
            if change == "swap":
                messages[at], messages[other] = messages[other], messages[at]
            elif change == "again":
                messages.insert(other, messages[at])
            elif len(messages) > 1:
                del messages[at]
    return messages


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut off, left out, repeated or added."""
    at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    change = rng.choice(["set", "cut", "drop", "repeat", "add"])
    if change == "set":
        return data[:at] + rng.randbytes(1) + data[at + 1 :]
    if change == "cut":
        return data[:at]
    if change == "drop":
        return data[:at] + data[end:]
    if change == "repeat":
        return data[:end] + data[at:]
    return data[:at] + rng.randbytes(rng.choice([1, 4, 8, 64])) + data[at:]


def mutate_field(data: bytes, kind: type[Message], rng: random.Random) -> bytes:
    """One field of a message, or of one inside it, says something else; what it held may stay."""
    try:
        message = kind.FromString(data)
    except DecodeError:
        return mutate_bytes(data, rng)
    _change(message, rng)
    return message.SerializeToString()


def _change(message: Message, rng: random.Random) -> None:
    inside = [
        part
        for field, value in message.ListFields()
        if field.message_type
        for part in (_values(value) if _is_repeated(field) else [value])
        if isinstance(part, Message)
    ]
    if inside and rng.random() < 0.75:
        _change(rng.choice(inside), rng)
        return
    fields = list(message.DESCRIPTOR.fields)
    if not fields:
        return
    field = rng.choice(fields)
    if rng.random() < 0.1:
        message.ClearField(field.name)
    elif _is_map(field):
        _put(getattr(message, field.name), field, rng)
    elif _is_repeated(field):
        _edit(getattr(message, field.name), field, rng)
    elif field.message_type:
        getattr(message, field.name).SetInParent()
    else:
        _try(lambda: setattr(message, field.name, _value(field, rng, getattr(message, field.name))))


def _values(container):
    return list(container.values()) if hasattr(container, "values") else list(container)


def _is_repeated(field: FieldDescriptor) -> bool:
    return field.label == FieldDescriptor.LABEL_REPEATED


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _put(container, field: FieldDescriptor, rng: random.Random) -> None:
    key_field, value_field = field.message_type.fields
    key = _value(key_field, rng, None)
    if value_field.message_type:
        _try(lambda: _change(container[key], rng))
    else:
        _try(lambda: container.__setitem__(key, _value(value_field, rng, None)))


def _edit(container, field: FieldDescriptor, rng: random.Random) -> None:
    change = rng.choice(["set", "set", "add", "again", "drop"])
    if change == "drop" and len(container):
        del container[rng.randrange(len(container))]
    elif change == "again" and len(container):
        container.append(rng.choice(list(container)))
    elif field.message_type:
        container.add()
    elif change == "set" and len(container):
        at = rng.randrange(len(container))
        _try(lambda: container.__setitem__(at, _value(field, rng, container[at])))
    else:
        _try(lambda: container.append(_value(field, rng, None)))


def _try(change: Callable[[], object]) -> None:
    """A value that the field's type cannot hold leaves it as it was."""
    with contextlib.suppress(ValueError, OverflowError):
        change()


def _value(field: FieldDescriptor, rng: random.Random, before: object) -> object:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return rng.choice(_REAL)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return mutate_bytes(before or b"", rng)
        return rng.choice(_TEXT if rng.random() < 0.3 else _names())
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return rng.randrange(-1, 16)
    return rng.choice(_WHOLE)


@cache
def _names() -> list[str]:
    """Everything that a string of a request may name."""
    strategies = all_strategies().values()
    names = {s.name for s in strategies} | set(all_samplings())
    names |= {t.name for s in strategies for t in s.tensors}
    names |= {p.name for s in strategies for p in s.parameters}
    names |= {str(c) for s in strategies for p in s.parameters for c in p.choices}
    return sorted(names | {"costs", "groups", "excluded", "beta", "epsilon", "x"})
