"""Numerics that several families share, each here once."""

import math
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

from nextlabel_server.selection.tiles import Tile


def log(p: Tile) -> Tile:
    """Ln p, finite at 0, so that 0·ln 0 = 0."""
    tiny = np.finfo(p.dtype).tiny
    logs: Tile = np.log(p) if p.min(initial=1.0) >= tiny else np.log(np.maximum(p, tiny))
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
    entropies: Tile = 0.0 - np.einsum("c...,c...->...", log(p), p)
    return entropies


@lru_cache(maxsize=1024)
def largest_collision(entropy: float, classes: int) -> float:
    """The largest Σ p² of a vector of `classes` probabilities with at least that entropy."""
    if entropy <= 0:
        return 1.0
    if entropy >= math.log(classes):
        return 1.0 / classes

    def too_much(largest: float) -> float:
        rest = 1 - largest
        return -largest * math.log(largest) - rest * math.log(rest / (classes - 1)) - entropy

    highest = 1 - 1e-12
    if too_much(highest) >= 0:
        return 1.0
    largest = 1e-9 + brentq(too_much, 1 / classes, highest, xtol=1e-12)
    collision: float = largest**2 + (1 - largest) ** 2 / (classes - 1)
    return collision
