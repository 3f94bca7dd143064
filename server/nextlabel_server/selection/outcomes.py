"""The labels that some rows may turn out to have together, as a committee sees them."""

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection import numerics
from nextlabel_server.selection.distances import Matrix, blocks
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.tiles import TILE_ELEMENTS, Tile


class Outcomes:
    """The joint configurations of the rows that were added: one class for each of them.

    Members are alike, and once the member is known the labels of rows are independent. All
    configurations that can occur are kept while they are at most `most`. When there are more,
    `most` of them are drawn by their probability, and weigh as often as they were drawn; later
    ones are drawn from what follows from those (Kirsch 2019, section 3.2, with systematic draws
    in place of independent ones: unbiased too, with less variance).

    Attributes:
        weights: [K] the probability of each configuration, or its share of the draws.
        posterior: [M, K] the probability of each member once the configuration is known.
    """

    def __init__(self, members: int, most: int, rng: np.random.Generator) -> None:
        self.weights: Scores = np.ones(1)
        self.posterior: Tile = np.full((members, 1), 1 / members)
        self._most = most
        self._rng = rng

    def __len__(self) -> int:
        return len(self.weights)

    def entropies(self, committee: npt.NDArray[np.float32]) -> Scores:
        """H(y | configuration) = Σ_k w_k H(Σ_m posterior_mk p_m) of rows [n, M, C]: [n].

        A product for each row by itself and not one for all, so that equal rows get equal bits.
        """
        p = committee.transpose(0, 2, 1).astype(np.float64)
        entropies = np.zeros(len(p))
        for some in blocks(len(self), p.shape[1], TILE_ELEMENTS):
            predicted = p @ self.posterior[:, some]
            terms = numerics.entropy(np.moveaxis(predicted, 1, 0))
            terms *= self.weights[some]
            entropies += terms.sum(axis=1)
        return entropies

    def add(self, row: Matrix) -> None:
        """Adds a row with probabilities [M, C]: every configuration goes on with every class."""
        p = row.astype(np.float64)
        p /= p.sum(axis=1, keepdims=True)  # so that weights keep the sum 1, row after row
        shares = self.posterior.T @ p
        shares *= self.weights[:, None]
        if np.count_nonzero(shares) > self._most:
            shares = _drawn(shares, self._most, self._rng)
        which, classes = np.nonzero(shares)
        posterior = self.posterior[:, which]
        posterior *= p[:, classes]
        posterior /= posterior.sum(axis=0)
        self.weights, self.posterior = shares[which, classes], posterior


def _drawn(shares: Tile, count: int, rng: np.random.Generator) -> Tile:
    """The share of `count` draws that falls on each cell, by systematic sampling.

    Draws stand at equal distances on the line of all shares, from one random start: each cell
    gets its expectation on average, and never differs from it by more than one draw.
    """
    ends = shares.ravel().cumsum()
    draws = (np.arange(count) + rng.random()) * (ends[-1] / count)
    draws = np.minimum(draws, np.nextafter(ends[-1], 0))  # the last may be rounded up to the end
    cells = np.searchsorted(ends, draws, side="right")
    counts = np.bincount(cells, minlength=len(ends))
    return counts.reshape(shares.shape) / count
