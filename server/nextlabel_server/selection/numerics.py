"""Numerics that several families share, each here once."""

import math

import numpy as np

from nextlabel_server.selection.tiles import Tile


def log(p: Tile) -> Tile:
    """Ln p, finite at 0, so that 0·ln 0 = 0."""
    logs: Tile = np.maximum(p, np.finfo(p.dtype).tiny)
    np.log(logs, out=logs)
    return logs


def entropy_float32_error(classes: int) -> float:
    """How far `entropy` in float32 can be from that in float64, for the same p.

    Each of the C terms has the relative error of a logarithm, at most 4 units in the last place
    in numpy, and of a product; adding them up has that of C sums. Their sizes sum to ln C at
    most, a little more where p sums to more than 1; twice that is allowed for.
    """
    return 2 * (classes + 8) * 2.0**-23 * (1 + math.log(classes))


def entropy(p: Tile) -> Tile:
    """−Σ p ln p over the first axis; 0 and not −0 for a sure row."""
    terms = log(p)
    terms *= p
    entropies: Tile = 0.0 - terms.sum(axis=0)
    return entropies
