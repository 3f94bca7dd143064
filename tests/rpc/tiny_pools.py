"""Calls of every strategy on pools of hardly any rows, made from the declarations."""

import numpy as np

from nextlabel import Cost

SIZES = {"C": 3, "D": 2, "M": 2, "T": 2}
PROBABILITIES = {"probabilities", "committee", "labeled_probabilities", "target_committee"}


def tensors(strategy, rows, labeled):
    """What the strategy needs, for a pool of that many rows."""
    rng = np.random.default_rng(rows)
    sizes = {**SIZES, "N": rows, "L": labeled}
    made = {} if strategy.takes_rows else {"pool_size": rows}
    for tensor in strategy.tensors:
        if tensor.name == "item_offsets" and tensor.required:
            made[tensor.name] = np.arange(rows + 1)
        elif tensor.required:
            shape = [sizes[letter] for letter in tensor.shape]
            if tensor.name in PROBABILITIES:
                made[tensor.name] = rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])
            elif tensor.name == "labeled_labels":
                made[tensor.name] = rng.integers(0, 2, shape)
            else:
                made[tensor.name] = rng.random(shape)
    made["parameters"] = {p.name: 1 for p in strategy.own_parameters if p.default is None}
    return made


def limits(rows):
    """Every constraint and the prefilter, one at a time, with the tensors that it needs."""
    rng = np.random.default_rng(rows)
    yield {"budget": 3}
    yield {"budget": 0.5}
    yield {"budget": 3, "exclude": np.arange(rows)}
    yield {"budget": Cost(2), "costs": np.ones(rows)}
    yield {"budget": 3, "groups": np.zeros(rows, int), "max_per_group": 1}
    yield {"budget": 3, "embeddings": rng.random((rows, 2)), "min_distance": 0.5}
    prefilter = {"strategy": "margin", "factor": 2}
    pool = rng.dirichlet(np.ones(3), size=rows).reshape(rows, 3)
    yield {"budget": 3, "probabilities": pool, "prefilter": prefilter}
