"""What each pick stands for: the rows that are nearer to it than to any other pick."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nextlabel_server.selection.clusters import Clusters
from nextlabel_server.selection.distances import Matrix
from nextlabel_server.selection.ranking import Rows, Scores


@dataclass(frozen=True, slots=True)
class NearestPicks:
    """The picked row that is nearest to each row of the pool, `rows` [N].

    `shares` [B] are what share of the pool that makes for each pick, in the order of picking.
    """

    rows: Rows
    shares: Scores


def nearest_picks(x: Matrix, picks: Rows, check: Callable[[], object]) -> NearestPicks:
    """The nearest of at least one pick [B] to each row [N, D], the earlier of two as near.

    Nearest by Euclidean distance, and so most similar by the cosine of rows of length 1 and by
    any kernel that falls with distance. Exact, in O(N·B·D); `check` is called now and then.
    """
    clusters = Clusters(x, check)
    clusters.add(x[picks])
    counts = np.bincount(clusters.nearest, minlength=len(picks))
    return NearestPicks(picks[clusters.nearest], counts / len(x))


def bytes_of(rows: int, picks: int, dimensions: int) -> int:
    """What `nearest_picks` takes beside the rows themselves."""
    return 40 * rows + 4 * picks * dimensions + (24 << 20)
