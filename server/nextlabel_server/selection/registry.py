"""Declaring a strategy once: the decorator that makes a function a query strategy."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from nextlabel_server.errors import UnknownName
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.tensors import (
    COMMITTEE,
    ITEM_OFFSETS,
    PROBABILITIES,
    TensorInput,
)

_declared: dict[str, "Strategy"] = {}


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes that formulas of memory and work speak of.

    Rows, picks, members of a committee, classes, dimensions, labeled rows, targets.
    """

    N: int
    B: int
    M: int = 0
    C: int = 0
    D: int = 0
    L: int = 0
    T: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A query strategy: its function, and everything that is said about it anywhere.

    `score` takes a tile with the rows last, [C, n] or [M, C, n] (or, without pool tensors, the
    generator and the number of rows), then its parameters and reference tensors by name, and
    returns [n] float64 scores; higher means label sooner. A whole-pool strategy's takes a Pool
    and a Picking, then its parameters by name, and takes rows from the picking. `bytes_of` is
    the memory that it needs, by the formula in `memory`. With a `base`, or a parameter of that
    name, it is given the scores of that row-wise strategy in place of probabilities. `optional`
    are pool tensors among `tensors` that it can do without.
    `negative_scores` says that scores can be below zero, where power sampling means nothing;
    `may_pick_fewer` that a batch of fewer rows can be better than one of as many as asked;
    `covers` that picks stand for the rows that are nearest to them in `embeddings`.
    `float32_error` bounds, for a row of that shape, how far scores of float32 values are from those
    in float64 when they are worked out in float32; None where nobody has worked out a bound.
    `row_work` is how many multiplications a row-wise strategy takes for each row, up to a factor,
    where that can be many more than a row has elements. Its function then takes a `pause` too, to
    be called every few milliseconds: it lets other calls go on, and raises Cancelled when nobody
    waits for the scores.
    `collision_limit` takes a score, C and what a row sums to at most, then its parameters by name,
    and gives the most that Σ p² of a row can be that scores as much; None where that says little.
    """

    name: str
    family: str
    description: str
    formula: str
    reference: str
    kind: Literal["row_wise", "whole_pool"]
    time: str
    memory: str
    score: Callable[..., Any]
    bytes_of: Callable[["Sizes"], int]
    tensors: tuple[TensorInput, ...]
    optional: tuple[TensorInput, ...] = ()
    own_parameters: tuple[Parameter, ...] = ()
    aliases: tuple[str, ...] = ()
    stochastic: bool = False
    negative_scores: bool = False
    may_pick_fewer: bool = False
    covers: bool = False
    min_classes: int = 1
    float32_error: Callable[..., float] | None = None
    collision_limit: Callable[..., float] | None = None
    row_work: Callable[["Sizes"], int] | None = None
    base: str = ""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The strategy's own parameters, then those that its tensors bring along."""
        return (*self.own_parameters, *(p for t in self.tensors for p in t.parameters))

    @property
    def needs(self) -> tuple[tuple[TensorInput, ...], ...]:
        """For each pool tensor that it needs, or can use, those that will do for it.

        What works on one probability vector works on a committee's mean vector too.
        """
        pool = [tensor for tensor in self.tensors if tensor.rows == "pool"]
        return tuple((t, COMMITTEE) if t is PROBABILITIES else (t,) for t in pool)

    @property
    def sources(self) -> tuple[TensorInput, ...]:
        """All pool tensors that it can make use of."""
        return tuple(tensor for need in self.needs for tensor in need)

    @property
    def references(self) -> tuple[TensorInput, ...]:
        """The tensors with rows of their own that it takes."""
        return tuple(tensor for tensor in self.tensors if tensor.rows == "reference")

    @property
    def takes_rows(self) -> bool:
        """Whether it looks at the pool at all, and not only at its size."""
        return bool(self.sources)


Declare: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def row_wise(
    *,
    tensors: tuple[TensorInput, ...],
    parameters: tuple[Parameter, ...] = (),
    time: str = "O(N·C)",
    **said: Any,  # noqa: ANN401 - further fields of Strategy
) -> Declare:
    """Declares a function as a row-wise strategy, named after the function.

    The family is the name of the module, the description the first line of the docstring. What
    else there is to say are the fields of Strategy: `formula` and `reference` at least.
    """
    return _declare(
        kind="row_wise",
        tensors=_with_items(tensors),
        own_parameters=parameters,
        time=time,
        memory="8·N",
        bytes_of=lambda sizes: 8 * sizes.N,
        **said,
    )


def whole_pool(
    *,
    tensors: tuple[TensorInput, ...],
    parameters: tuple[Parameter, ...] = (),
    time: str,
    memory: str,
    bytes_of: Callable[[Sizes], int],
    **said: Any,  # noqa: ANN401 - further fields of Strategy
) -> Declare:
    """Declares a function as a whole-pool strategy, named after the function.

    As for `row_wise`; here the `formula` says what a pick's gain is. `memory` and `bytes_of` say
    the same, for people and for the server, which reserves that much before it reads.
    """
    return _declare(
        kind="whole_pool",
        tensors=tensors,
        own_parameters=parameters,
        time=time,
        memory=memory,
        bytes_of=bytes_of,
        **said,
    )


def _declare(**said: Any) -> Declare:  # noqa: ANN401 - fields of Strategy
    def declare(score: Callable[..., Any]) -> Callable[..., Any]:
        _declared[score.__name__] = Strategy(
            name=score.__name__,
            family=score.__module__.rpartition(".")[2],
            description=(inspect.getdoc(score) or "").partition("\n")[0],
            score=score,
            **said,
        )
        return score

    return declare


def _with_items(tensors: tuple[TensorInput, ...]) -> tuple[TensorInput, ...]:
    """What scores one probability vector, or a committee's, can score the parts of items too."""
    takes_parts = PROBABILITIES in tensors or COMMITTEE in tensors
    declared = any(tensor.name == ITEM_OFFSETS.name for tensor in tensors)
    return (*tensors, ITEM_OFFSETS) if takes_parts and not declared else tensors


@cache
def all_strategies() -> Mapping[str, Strategy]:
    """Every strategy by name, sorted by family and name."""
    package = importlib.import_module("nextlabel_server.selection.strategies")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    in_order = sorted(_declared.values(), key=lambda strategy: (strategy.family, strategy.name))
    return MappingProxyType({strategy.name: strategy for strategy in in_order})


@cache
def _by_any_name() -> Mapping[str, Strategy]:
    return {name: s for s in all_strategies().values() for name in (s.name, *s.aliases)}


def strategy_named(name: str, field: str = "strategy") -> Strategy:
    """The strategy of that name or alias, which a request has in some field.

    Raises:
        UnknownName: listing the strategies that exist.
    """
    try:
        return _by_any_name()[name]
    except KeyError:
        known = ", ".join(sorted(all_strategies()))
        raise UnknownName(f"{field}: {name[:60]!r} is unknown; there are {known}") from None
