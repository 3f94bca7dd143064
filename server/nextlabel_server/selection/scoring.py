"""Scores of the rows of a block, by a row-wise strategy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.probabilities import Activation, ProbabilityReader
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import Strategy
from nextlabel_server.selection.tiles import Floats


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores blocks by a strategy that takes probabilities; safe to share between threads.

    `parameters` are accepted ones, `references` the strategy's reference tensors by name.
    """

    strategy: Strategy
    parameters: Mapping[str, Any]
    references: Mapping[str, Any]
    model_activation: Activation = "none"

    def check_columns(self, columns: int) -> None:
        """Refuses a number of probability columns that the strategy cannot work with.

        Raises:
            InvalidRequest: too few classes, or a reference tensor made for another number.
        """
        classes = self._reader().classes(columns)
        if classes < self.strategy.min_classes:
            raise InvalidRequest(
                "probabilities",
                f"found {classes} class; {self.strategy.name} needs at least "
                f"{self.strategy.min_classes}",
            )
        for tensor in self.strategy.tensors:
            if "C" in tensor.shape and tensor.name in self.references:
                shape = self.references[tensor.name].shape
                if shape[tensor.shape.index("C")] != classes:
                    raise InvalidRequest(
                        tensor.name,
                        f"found shape {list(shape)}; the pool has {classes} classes",
                    )

    def score(self, block: Floats, first_row: int) -> Scores:
        """Scores a block of probabilities [n, C] whose first row is row `first_row` of the pool.

        Returns:
            [n] float64; higher means label sooner.

        Raises:
            InvalidRequest: naming the first row that is not a probability vector.
        """
        own = {p.name: self.parameters[p.name] for p in self.strategy.own_parameters}
        scores = np.empty(len(block))
        # What is not finite is found by its result; numpy need not warn of it.
        with np.errstate(all="ignore"):
            for rows, tile in self._reader().tiles(block, first_row):
                tile_scores = self.strategy.score(tile, **own, **self.references)
                scores[rows] = tile_scores[: rows.stop - rows.start]
        return scores

    @property
    def activation(self) -> Activation:
        """What turns the scorer's blocks into probabilities."""
        asked: Literal["auto"] | Activation = self.parameters["activation"]
        return self.model_activation if asked == "auto" else asked

    def _reader(self) -> ProbabilityReader:
        return ProbabilityReader(
            self.activation, self.parameters["tolerance"], self.parameters["renormalize"]
        )
