"""What is written on a command line, as values."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import numpy.typing as npt


def budget(text: str) -> int | float:
    """`100` is a number of rows; `0.01` and `1%` are a fraction of the pool."""
    try:
        if text.endswith("%"):
            # By its digits: 1.1 / 100 is a little above 0.011, and would round up to a row more.
            return float(Decimal(text[:-1]) / 100)
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    except (ValueError, ArithmeticError):
        raise click.BadParameter(
            f"{text!r} is not a number of rows (100) or a fraction of them (0.01 or 1%)."
        ) from None


def assignment(text: str) -> tuple[str, int | float | bool | str]:
    """`NAME=VALUE`: a number, true, false, or else text."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.")
    try:
        plain = json.loads(value)
    except ValueError:
        return name, value
    return name, plain if isinstance(plain, bool | int | float) else value


def excluded(text: str, ids: npt.NDArray[Any] | None) -> list[Any]:
    """The rows that `--exclude` names: in a file, one a line, or in a list with commas.

    Args:
        text: what was written.
        ids: the pool's ids; None when it has none, and rows are named by their numbers.
    """
    path = Path(text)
    is_file = path.is_file()
    try:
        written = path.read_text("utf-8").splitlines() if is_file else text.split(",")
    except (OSError, ValueError) as error:
        raise _wrong(f"{text} cannot be read: {error}.") from None
    items = [item.strip() for item in written if item.strip()]
    if ids is not None and ids.dtype.kind not in "iu":
        return items
    rows = []
    for item in items:
        try:
            rows.append(int(item))
        except ValueError:
            where = f"in {text}" if is_file else "which is no file either"
            right = "row numbers, from 0," if ids is None else "ids that are whole numbers"
            raise _wrong(f"found {item!r}, {where}; {right} are right.") from None
    return rows


def _wrong(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="'--exclude'")
