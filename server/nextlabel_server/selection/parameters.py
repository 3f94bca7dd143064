"""Parameters as data: one declaration validates a request, fills the listing and the docs."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from nextlabel_server.errors import InvalidRequest

Value: TypeAlias = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named parameter.

    `type` is bool, int, float or str; a str takes one of `choices`. `default` is None for a
    required parameter. `minimum` and `maximum` are inclusive unless `exclusive_minimum`. With
    `is_class` it is the number of a class, from 0, which the pool must have.
    """

    name: str
    type: type
    description: str
    default: Value | None = None
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    choices: tuple[str, ...] = ()
    is_class: bool = False

    def accept(self, value: object, field: str) -> Value:
        """Returns `value` in the declared type.

        Raises:
            InvalidRequest: at `field`, with what was found and what would be right.
        """
        if self.type is bool:
            if isinstance(value, bool):
                return value
        elif self.type is str:
            if isinstance(value, str) and value in self.choices:
                return value
        elif isinstance(value, int | float) and not isinstance(value, bool) and self._holds(value):
            return int(value) if self.type is int else float(value)
        raise InvalidRequest(field, f"found {_shown(value)}; {self.expectation} is right")

    def _holds(self, number: float) -> bool:
        if not math.isfinite(number) or (self.type is int and number != int(number)):
            return False
        if self.minimum is not None and (
            number < self.minimum or (self.exclusive_minimum and number == self.minimum)
        ):
            return False
        return self.maximum is None or number <= self.maximum

    @property
    def expectation(self) -> str:
        """The values that are right, in words: for errors and docs."""
        if self.type is bool:
            return "true or false"
        if self.type is str:
            return "one of " + ", ".join(self.choices)
        noun = "a whole number" if self.type is int else "a finite number"
        bounds = []
        if self.minimum is not None:
            bounds.append(f"{'above' if self.exclusive_minimum else 'at least'} {self.minimum:g}")
        if self.maximum is not None:
            bounds.append(f"at most {self.maximum:g}")
        return " ".join([noun, " and ".join(bounds)]).strip()


def base_of(default: str) -> Parameter:
    """Which row-wise strategy says how unsure a row is, for one that builds on its scores."""
    return Parameter(
        "base",
        str,
        "The row-wise strategy whose scores say how unsure a row is.",
        default=default,
        choices=("entropy", "gini", "least_confidence", "margin", "ratio"),
    )


def accept_parameters(
    declared: Iterable[Parameter], given: Mapping[str, object], *, field: str, owner: str
) -> dict[str, Any]:
    """Checks `given` against the declarations and fills in defaults.

    Raises:
        InvalidRequest: an unknown, missing, ill-typed or out-of-range parameter of `owner`;
            the field is `field`.NAME.
    """
    by_name = {parameter.name: parameter for parameter in declared}
    for name in given:
        if name not in by_name:
            takes = ", ".join(by_name) or "no parameters"
            raise InvalidRequest(f"{field}.{name}", f"unknown; {owner} takes {takes}")
    accepted: dict[str, Any] = {}
    for name, parameter in by_name.items():
        if name in given:
            accepted[name] = parameter.accept(given[name], f"{field}.{name}")
        elif parameter.default is not None:
            accepted[name] = parameter.default
        else:
            raise InvalidRequest(
                f"{field}.{name}", f"missing; {owner} needs it: {parameter.expectation}"
            )
    return accepted


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
