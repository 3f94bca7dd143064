"""Picking from clusters in turn."""

import heapq
from collections.abc import Callable, Iterable, Iterator

from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.ranking import Rows, Scores


def take_in_turn(
    picking: Picking,
    members: list[Rows],
    best_first: Callable[[int], Iterable[tuple[int, float]]],
    labeled: Rows,
    sizes: Scores | None = None,
) -> None:
    """Takes one row at a time, from the cluster with the fewest labels, the larger of two.

    A pick counts as a label. Of clusters that are alike in both the one with the lowest row
    comes first.

    Args:
        picking: what rows are taken from.
        members: [K] the rows of each cluster, ascending.
        best_first: the rows of a cluster with the gain of each, the one to be picked first first.
        labeled: [K] how many labels each cluster has.
        sizes: [K] how large each cluster is, when that is not its number of rows.
    """
    turns = [
        (int(labeled[k]), -float(len(rows) if sizes is None else sizes[k]), int(rows[0]), k)
        for k, rows in enumerate(members)
        if len(rows)
    ]
    heapq.heapify(turns)
    waiting: dict[int, Iterator[tuple[int, float]]] = {}
    while picking.wants_more:
        labels, size, lowest, k = heapq.heappop(turns)
        rows = waiting.setdefault(k, iter(best_first(k)))
        for row, gain in rows:
            # What is closed now stays closed, so it need not be looked at again.
            if picking.open[row]:
                picking.take(row, gain)
                heapq.heappush(turns, (labels + 1, size, lowest, k))
                break
