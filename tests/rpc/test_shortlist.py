"""A query that wants only the best rows gives what one that scores every row gives."""

import numpy as np
import pytest

from nextlabel import Client

RNG = np.random.default_rng(1)
ROWS = 70_000
POOLS = {
    "random": RNG.dirichlet(np.ones(10), ROWS).astype(np.float32),
    "half": RNG.dirichlet(np.ones(4), ROWS).astype(np.float16),
    "many ties": np.eye(3)[RNG.integers(0, 3, ROWS)] * 0.5 + 1 / 6,
}


@pytest.fixture(scope="module")
def client(server):
    with Client(server.address) as client:
        yield client


@pytest.mark.parametrize("strategy", ["entropy", "margin", "least_confidence", "relevance"])
@pytest.mark.parametrize("pool", POOLS)
def test_asking_for_all_scores_as_well_changes_no_pick(client, pool, strategy):
    given = {"probabilities": POOLS[pool], "strategy": strategy, "budget": 300}
    if strategy == "relevance":
        given["parameters"] = {"class_index": 1}
    best = client.select(**given)
    everything = client.select(**given, return_all_scores=True)
    assert best.indices.tolist() == everything.indices.tolist()
    assert best.scores.tolist() == everything.scores.tolist()
    assert best.row_count == everything.row_count == ROWS


def test_excluded_rows_make_place_for_the_next_best(client):
    pool = POOLS["random"]
    first = client.select(probabilities=pool, strategy="entropy", budget=200)
    second = client.select(
        probabilities=pool, strategy="entropy", budget=100, exclude=first.indices[:100]
    )
    assert second.indices.tolist() == first.indices[100:].tolist()


def test_a_pool_of_unknown_length_gives_the_same(client):
    pool = POOLS["random"]
    known = client.select(probabilities=pool, strategy="margin", budget=50)
    batches = (pool[i : i + 7_000] for i in range(0, ROWS, 7_000))
    unknown = client.select(probabilities=batches, strategy="margin", budget=50)
    assert unknown.indices.tolist() == known.indices.tolist()
    assert unknown.row_count == ROWS
