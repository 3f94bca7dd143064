"""Embeddings of several kinds, and how alike their rows are, by the formulas."""

import numpy as np

ROWS = 90


def embeddings(kind, rows=ROWS):
    rng = np.random.default_rng(2)
    return {
        "random": rng.normal(size=(rows, 6)),
        "grid": rng.integers(1, 4, size=(rows, 3)).astype(float),
        "copies": np.repeat(rng.normal(size=(rows // 10, 5)), 10, axis=0),
        "a line": rng.normal(size=(rows, 1)) + 5,
        "blobs far away": rng.normal(size=(4, 8))[rng.integers(0, 4, rows)] * 9
        + rng.normal(size=(rows, 8))
        + 1e4,
    }[kind].astype(np.float32)


KINDS = ["random", "grid", "copies", "a line", "blobs far away"]
# Seen from far away all directions are the same, to within what counts as alike.
DIRECTED = KINDS[:-1]


def distances(x, y):
    return np.linalg.norm(x.astype(float)[:, None] - y.astype(float), axis=2)


def gaussian(x, y, bandwidth):
    return np.exp(-((distances(x, y) / bandwidth) ** 2))


def cosine(x, y):
    """Of rows of length 1 as they are stored, in float32."""
    x, y = (rows.astype(float) for rows in (x, y))
    x, y = (rows / np.linalg.norm(rows, axis=1)[:, None] for rows in (x, y))
    return x.astype(np.float32).astype(float) @ y.astype(np.float32).astype(float).T
