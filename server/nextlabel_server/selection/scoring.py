"""Scores of the rows of a block, by a row-wise strategy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.probabilities import Activation
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import Strategy
from nextlabel_server.selection.tensors import Reader, TensorInput
from nextlabel_server.selection.tiles import Floats, Tile, TileReader


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores blocks by a row-wise strategy; safe to share between threads.

    `source` is the one of the strategy's sources that the blocks are of, `parameters` are
    accepted ones, `references` what its function takes of reference tensors, accepted, by name.
    `pause` is called now and then by a strategy whose rows may take long.
    """

    strategy: Strategy
    source: TensorInput
    parameters: Mapping[str, Any]
    references: Mapping[str, Any]
    model_activation: Activation = "none"
    pause: Callable[[], object] = lambda: None

    @property
    def sources(self) -> tuple[TensorInput, ...]:
        return (self.source,)

    def take(self, arrays: Mapping[str, Any], first_row: int) -> Mapping[str, Any]:
        """Scores the rows of a block of every tensor, as a column of their own."""
        return {"scores": self.score(arrays[self.source.name], first_row)}

    def check_row_shape(self, source: TensorInput, row_shape: tuple[int, ...]) -> None:
        """Refuses rows whose number of classes the strategy cannot work with.

        Raises:
            InvalidRequest: too few classes, a parameter that names none of them, or a reference
                tensor made for another number.
        """
        if "C" not in source.shape:
            return
        classes = self.reader.tile_shape(row_shape)[-1]
        if classes < self.strategy.min_classes:
            raise InvalidRequest(
                source.name,
                f"found {classes} class; {self.strategy.name} needs at least "
                f"{self.strategy.min_classes}",
            )
        for parameter in self.strategy.own_parameters:
            found = self.parameters[parameter.name]
            if parameter.is_class and found >= classes:
                raise InvalidRequest(
                    f"parameters.{parameter.name}",
                    f"found {found}; the pool has {classes} classes, so 0 to {classes - 1} is "
                    "right",
                )
        for tensor in self.strategy.references:
            if "C" in tensor.shape and tensor.name in self.references:
                shape = self.references[tensor.name].shape
                if shape[tensor.shape.index("C")] != classes:
                    raise InvalidRequest(
                        tensor.name,
                        f"found shape {list(shape)}; the pool has {classes} classes",
                    )

    def score(self, block: Floats, first_row: int) -> Scores:
        """Scores a block [n, ...] whose first row is row `first_row` of the pool.

        Returns:
            [n] float64; higher means label sooner.

        Raises:
            InvalidRequest: naming the first row that is not what the source should hold.
        """
        mean_of_members = len(self.source.shape) > len(self.strategy.needs[0][0].shape)
        scores = np.empty(len(block))
        # What is not finite is found by its result; numpy need not warn of it.
        with np.errstate(all="ignore"):
            for rows, members in self.reader.tiles(block, first_row):
                tile = members.mean(axis=0) if mean_of_members else members
                scores[rows] = self.score_tile(tile)[: rows.stop - rows.start]
        return scores

    def score_tile(self, tile: Tile) -> Scores:
        """The strategy's scores of a tile, [n], in the precision of the tile."""
        pause = {"pause": self.pause} if self.strategy.row_work else {}
        scores: Scores = self.strategy.score(
            tile, **self.own_parameters, **self.references, **pause
        )
        return scores

    @property
    def own_parameters(self) -> dict[str, Any]:
        """The parameters that the strategy's function takes."""
        return {p.name: self.parameters[p.name] for p in self.strategy.own_parameters}

    @property
    def activation(self) -> Activation:
        """What turns the blocks into probabilities."""
        return getattr(self.reader, "activation", "none")

    @property
    def reader(self) -> TileReader:
        """What reads the blocks."""
        reader = cast("Reader", self.source.reader)  # every pool tensor has one
        return reader(self.parameters, self.model_activation)
