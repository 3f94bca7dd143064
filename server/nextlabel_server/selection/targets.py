"""The predictions that matter in the end, for strategies that ask what a label says about them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import numerics
from nextlabel_server.selection.probabilities import ProbabilityReader
from nextlabel_server.selection.tiles import Tile


@dataclass(frozen=True, slots=True)
class Targets:
    """What M members of a committee predict for T targets.

    `columns` is [M, T·C], the C classes of a target side by side; `mean_entropy` the mean over
    targets of H(p̄_t); `shape` is [T, M, C].
    """

    columns: Tile
    mean_entropy: float
    shape: tuple[int, ...]

    @classmethod
    def accept(cls, name: str, values: npt.NDArray[np.generic]) -> "Targets":
        """Targets from probabilities [T, M, C] that may be wrong.

        Raises:
            InvalidRequest: at `name`, naming the first target that is not what it should be.
        """
        targets = np.empty(values.shape)
        with np.errstate(all="ignore"):  # what is not finite is found by its result
            for rows, tile in ProbabilityReader(name=name).tiles(values, 0):
                targets[rows] = np.moveaxis(tile[..., : rows.stop - rows.start], -1, 0)
        entropies = numerics.entropy(targets.mean(axis=1).T)
        columns = np.ascontiguousarray(targets.transpose(1, 0, 2)).reshape(values.shape[1], -1)
        return cls(columns, float(entropies.mean()), values.shape)
