"""What a committee predicts for inputs that matter, made ready for what is asked of each row."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import numerics


@dataclass(frozen=True, slots=True)
class Targets:
    """Probabilities of C classes by M members for T targets, once for all rows of a pool.

    `shape` is that of what they come from, `columns` are all classes of all targets, [M, T·C],
    and `mean_entropy` is mean_t H(p̄_t).
    """

    shape: tuple[int, ...]
    columns: npt.NDArray[np.float64]
    mean_entropy: float

    @classmethod
    def of(cls, committee: npt.NDArray[np.float64]) -> Self:
        """Of validated rows, [T, M, C]."""
        columns = np.moveaxis(committee, 1, 0).reshape(committee.shape[1], -1)
        entropies = numerics.entropy(committee.mean(axis=1).T)
        return cls(committee.shape, columns, float(entropies.mean()))
