"""Labels of the rows that have been labeled, for strategies that compare the pool with them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nextlabel_server.errors import InvalidRequest

_BLOCK_ELEMENTS = 1 << 17

Labels: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabeledLabels:
    """Which of C labels each of L labeled rows has: `labels` is [L, C] bool.

    What a strategy makes of all labeled rows is computed once, at its first use.
    """

    labels: Labels

    @classmethod
    def accept(cls, name: str, values: npt.NDArray[np.generic]) -> "LabeledLabels":
        """Labels from zeros and ones of any type.

        Raises:
            InvalidRequest: at `name`, naming the first value that is neither 0 nor 1.
        """
        labels = values == 1
        bad = np.argwhere(~labels & (values != 0))
        if len(bad):
            at = tuple(int(i) for i in bad[0])
            raise InvalidRequest(name, f"found {values[at]} at {list(at)}; 0 or 1 is right")
        return cls(labels)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.labels.shape

    @cached_property
    def mean_cardinality(self) -> float:
        """How many labels a labeled row has on average; 0 when no row is labeled."""
        return float(np.count_nonzero(self.labels) / max(len(self.labels), 1))

    def inconsistency(self, predicted: Labels) -> npt.NDArray[np.float64]:
        """How far predicted label vectors [N, C] are from the labeled ones on average, [N].

        The distance of two vectors is the share of labels in which they differ; but 1 where
        neither says anything of the other (entropy distance 1: mutual information 0), except
        between constant vectors, which have no entropy to compare. With nothing labeled it is 1.
        Equal vectors have the same bits. Source: Reyes, Morell & Ventura 2018.
        """
        if not len(self.labels):
            return np.ones(len(predicted))
        vectors, vector_of_row = _distinct(predicted)
        labeled, labeled_of_row = _distinct(self.labels)
        share = np.bincount(labeled_of_row) / len(self.labels)
        height = max(1, _BLOCK_ELEMENTS // len(labeled))
        means = [
            (_distances(vectors[i : i + height], labeled) * share).sum(axis=1)
            for i in range(0, len(vectors), height)
        ]
        return np.concatenate(means)[vector_of_row]


def _distances(one: Labels, other: Labels) -> npt.NDArray[np.float64]:
    """The distance of each vector [n, C] to each other [m, C], [n, m].

    Counts are whole numbers, so that independence, ad = bc, is found without rounding.
    """
    labels = one.shape[1]
    both = (one.astype(np.float32) @ other.T.astype(np.float32)).astype(np.float64)
    only_one = np.count_nonzero(one, axis=1)[:, None] - both
    only_other = np.count_nonzero(other, axis=1) - both
    neither = labels - both - only_one - only_other
    differ = only_one + only_other
    independent = both * neither == only_one * only_other
    constant = np.maximum.reduce([both, neither, only_one, only_other]) == labels
    return np.where(independent & ~constant, 1.0, differ / labels)


def _distinct(vectors: Labels) -> tuple[Labels, npt.NDArray[np.intp]]:
    """The vectors that differ, and which of them each row is."""
    packed = np.packbits(vectors, axis=1)
    _, first, which = np.unique(
        packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True
    )
    return vectors[first], which
