"""Numerics that several families share, each here once."""

import numpy as np

from nextlabel_server.selection.tiles import Tile


def log(p: Tile) -> Tile:
    """Ln p, finite at 0, so that 0·ln 0 = 0."""
    logs = np.maximum(p, np.finfo(np.float64).tiny)
    np.log(logs, out=logs)
    return logs


def entropy(p: Tile) -> Tile:
    """−Σ p ln p over the first axis; 0 and not −0 for a sure row."""
    terms = log(p)
    terms *= p
    entropies: Tile = 0.0 - terms.sum(axis=0)
    return entropies
