"""Passes of a model that draws at random: which numbers each of them draws.

A pass is one network: its numbers come from the request's seed and the pass's number alone, and
are the same for every row (as in BatchBALD's consistent dropout, Kirsch et al. 2019). So a row's
outputs depend neither on the rows beside it nor on what ran before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nextlabel_server.inference.randomness import RandomInput
from nextlabel_server.inference.unusable import Unusable

MAX_PASSES = 1000

ShapesOf = Callable[[int], Sequence[tuple[int, ...]]]
"""The shapes of the random numbers for so many rows in a run, in the order of the inputs."""


@dataclass(frozen=True, slots=True)
class _Needed:
    """What numbers one input takes: their shape for a single row, and the axis of the rows."""

    shape: tuple[int, ...]
    axis: int | None

    def draw(self, rng: np.random.Generator, rows: int, *, normal: bool) -> npt.NDArray[np.float32]:
        draw = rng.standard_normal if normal else rng.random
        numbers: npt.NDArray[np.float32] = draw(self.shape, dtype=np.float32)
        if self.axis is None or self.shape[self.axis] == 1:
            return numbers  # the same for all rows by broadcasting
        times = [1] * len(self.shape)
        times[self.axis] = rows
        return np.tile(numbers, times)


class Passes:
    """The random numbers of passes over one batch.

    Args:
        inputs: those of the graph that take random numbers.
        seed: where all numbers come from.
        rows: how many rows the batch has.
        fixed: every run has that many, and no other number of rows can be tried.
        shapes_of: the shapes of what is needed.
    """

    def __init__(
        self,
        inputs: Sequence[RandomInput],
        seed: int,
        rows: int,
        *,
        fixed: bool,
        shapes_of: ShapesOf,
    ) -> None:
        self._inputs = inputs
        self._seed = seed
        self._rows = rows
        if fixed:
            found = zip(inputs, shapes_of(rows), strict=True)
            self._needed = [_of_fixed(shape, source.row_axis) for source, shape in found]
        else:
            pairs = zip(shapes_of(1), shapes_of(2), strict=True)
            self._needed = [_of_any(one, two) for one, two in pairs]

    def numbers(self, number: int) -> dict[str, npt.NDArray[np.float32]]:
        """What pass `number` feeds, by the names of the inputs."""
        drawn = {}
        for i, (source, needed) in enumerate(zip(self._inputs, self._needed, strict=True)):
            # A key apart from that of what the strategy draws.
            sequence = np.random.SeedSequence(self._seed, spawn_key=(number, i))
            rng = np.random.default_rng(sequence)
            drawn[source.name] = needed.draw(rng, self._rows, normal=source.normal)
        return drawn


def _of_any(one: tuple[int, ...], two: tuple[int, ...]) -> _Needed:
    """From the shapes for one row and for two: the rows are along the axis that doubles."""
    grown = [axis for axis, sizes in enumerate(zip(one, two, strict=False)) if len({*sizes}) > 1]
    if len(one) != len(two) or len(grown) > 1 or any(two[a] != 2 * one[a] for a in grown):
        raise Unusable(
            f"it draws random numbers of the shape {list(one)} for one row and {list(two)} for "
            "two, so which are whose cannot be told"
        )
    return _Needed(one, grown[0] if grown else None)


def _of_fixed(shape: tuple[int, ...], axis: int | None) -> _Needed:
    """From the shape for a fixed batch, whose rows are along `axis`."""
    return _Needed(tuple(1 if i == axis else size for i, size in enumerate(shape)), axis)


class Mean:
    """The mean of arrays of one shape, as they come; that of a single one is that one."""

    def __init__(self) -> None:
        self._sum: np.ndarray | None = None
        self._count = 0

    def add(self, values: np.ndarray) -> None:
        # In float64, where the mean of equal numbers is that number.
        self._sum = values if self._sum is None else np.add(self._sum, values, dtype=np.float64)
        self._count += 1

    @property
    def value(self) -> np.ndarray | None:
        """None of none."""
        return self._sum if self._sum is None or self._count == 1 else self._sum / self._count
