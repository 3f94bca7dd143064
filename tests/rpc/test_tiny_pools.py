"""Every strategy with pools of hardly any rows, under every constraint: an answer or a refusal.

Requests are made from the declarations, so that a new strategy is covered by being registered.
"""

import numpy as np
import pytest

from nextlabel import Client, Cost, InvalidRequestError
from nextlabel_server.selection import all_strategies

SIZES = {"C": 3, "D": 2, "M": 2, "T": 2}
PROBABILITIES = {"probabilities", "committee", "labeled_probabilities", "target_committee"}


@pytest.fixture(scope="module")
def client(server):
    with Client(server.address, timeout=30) as client:
        yield client


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


@pytest.mark.parametrize("name", all_strategies())
def test_an_answer_or_a_refusal_and_never_a_defect(client, name):
    strategy = all_strategies()[name]
    answered = 0
    for rows in (0, 1, 2):
        for labeled in (0, 2):
            for options in limits(rows):
                arguments = {**tensors(strategy, rows, labeled), **options}
                try:
                    picked = client.select(strategy=name, seed=1, **arguments)
                except InvalidRequestError:
                    continue
                answered += 1
                assert len(set(picked.indices.tolist())) == len(picked) <= rows
                assert np.isfinite(picked.scores).all()
    assert answered >= 15
