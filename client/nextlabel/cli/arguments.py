"""What is written on a command line, as values."""

import json
from pathlib import Path
from typing import Any

import click


class Budget(click.ParamType):
    """`100` is a number of rows; `0.01` and `1%` are a fraction of the pool."""

    name = "budget"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        try:
            if value.endswith("%"):
                return float(value[:-1]) / 100
            return int(value) if value.lstrip("+-").isdecimal() else float(value)
        except ValueError:
            self.fail(
                f"{value!r} is not a number of rows (100) or a fraction (0.01 or 1%).", param, ctx
            )


class Assignment(click.ParamType):
    """`NAME=VALUE`: a number, true, false, or else text."""

    name = "assignment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int | float | bool | str]:
        name, equals, text = value.partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is not NAME=VALUE.", param, ctx)
        try:
            plain = json.loads(text)
        except ValueError:
            plain = text
        return name, plain if isinstance(plain, bool | int | float) else text


def excluded(text: str, *, of_ids: type | None) -> list[Any]:
    """The rows that `--exclude` names, from a file with one a line or a list with commas.

    Args:
        text: what was written.
        of_ids: what ids in the pool are, int or str; None when it has no ids, and rows are
            named by their numbers.
    """
    path = Path(text)
    is_file = path.is_file()
    try:
        written = path.read_text("utf-8").splitlines() if is_file else text.split(",")
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{text} cannot be read: {error}", param_hint="--exclude") from None
    items = [item.strip() for item in written if item.strip()]
    if of_ids is str:
        return items
    try:
        return [int(item) for item in items]
    except ValueError:
        wrong = next(item for item in items if not item.lstrip("+-").isdecimal())
        what = "row numbers (from 0) are right" if of_ids is None else "the ids are whole numbers"
        where = f"in {text}" if is_file else "which is no file either"
        raise click.BadParameter(
            f"found {wrong!r}, {where}; {what}.", param_hint="--exclude"
        ) from None
