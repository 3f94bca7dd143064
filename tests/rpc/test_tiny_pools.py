"""Every strategy with pools of hardly any rows, under every constraint: an answer or a refusal.

Requests are made from the declarations, so that a new strategy is covered by being registered.
"""

import numpy as np
import pytest

from nextlabel import Client, InvalidRequestError
from nextlabel_server.selection import all_strategies
from tests.rpc.tiny_pools import limits, tensors


@pytest.fixture(scope="module")
def client(server):
    with Client(server.address, timeout=30) as client:
        yield client


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


EXTREMES = (0, 1e-300, 1e-30, 1e-6, 1, 2, 1e6, 1e30, 1e300, -1, -1e300)


@pytest.mark.parametrize("name", [n for n, s in all_strategies().items() if s.parameters])
def test_any_value_of_a_parameter_gives_numbers_or_a_refusal(client, name):
    strategy = all_strategies()[name]
    for parameter in strategy.parameters:
        for value in parameter.choices or EXTREMES:
            arguments = tensors(strategy, 4, 2)
            arguments["parameters"] |= {parameter.name: value}
            try:
                picked = client.select(strategy=name, budget=3, seed=1, **arguments)
            except InvalidRequestError:
                continue
            assert np.isfinite(picked.scores).all(), (parameter.name, value)


WITH_NUMBERS = ("embeddings", "labeled_embeddings", "predictions", "labeled_values", "cost_matrix")
WITH_NUMBERS += ("std", "committee_values")


@pytest.mark.parametrize("name", all_strategies())
def test_numbers_of_any_size_give_scores_or_a_refusal(client, name):
    made = tensors(all_strategies()[name], 6, 2)
    sized = set(made) & set(WITH_NUMBERS)
    for size in (1e-300, 1e-20, 1e15, 1e38, 1e300):
        scaled = made | {tensor: made[tensor] * size for tensor in sized}
        try:
            picked = client.select(strategy=name, budget=4, seed=1, **scaled)
        except InvalidRequestError:
            assert size > 1e15
        else:
            assert np.isfinite(picked.scores).all()


@pytest.mark.parametrize("name", ["k_center", "entropy", "prob_cover"])
def test_a_distance_without_bounds_leaves_one_pick(client, name):
    made = {**tensors(all_strategies()[name], 4, 0), "embeddings": np.eye(4)}
    picked = client.select(strategy=name, budget=3, seed=1, min_distance=1e300, **made)
    assert len(picked) == 1
