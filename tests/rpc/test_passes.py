"""Committees of one model's stochastic passes, through a server."""

import numpy as np
import pytest

import nextlabel
from nextlabel import InvalidRequestError, LimitError, ModelError, _request
from tests import servers
from tests.inference import graphs
from tests.inference.test_randomness import DROPS, in_a_branch, network

ROWS = 700
X = np.random.default_rng(1).normal(size=(ROWS, 4)).astype(np.float32)
STRATEGIES = ("bald", "vote_entropy", "entropy", "batch_bald")
SERVER = {
    "random": network(),
    "plain": network(train=False),
    "unruly": network([in_a_branch(DROPS)]),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A directory with models `random`, `plain` and `unruly`, of x [rows, 4]."""
    directory = tmp_path_factory.mktemp("models")
    for name, content in SERVER.items():
        graphs.save(directory, name, content)
    return directory


@pytest.fixture(scope="module")
def address(models):
    with servers.in_process(models=(models,)) as server:
        yield server.address


@pytest.fixture
def client(address):
    with nextlabel.Client(address, timeout=30) as opened:
        yield opened


def select(client, strategy="bald", **options):
    return client.select(
        **{
            "model": "random",
            "inputs": {"x": X},
            "passes": 5,
            "seed": 3,
            "budget": 20,
            "strategy": strategy,
            **options,
        }
    )


def answer(client, strategy, **options):
    found = select(client, strategy, **options)
    return found.indices.tolist(), found.scores.tolist()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_answer_is_the_same_whatever_the_call_and_the_server(
    client, models, monkeypatch, strategy
):
    expected = answer(client, strategy)
    assert answer(client, strategy) == expected
    for block_bytes in (20_000, 700):
        with monkeypatch.context() as patch:
            patch.setattr(_request, "UNARY_BYTES", -1)
            patch.setattr(_request, "BLOCK_BYTES", block_bytes)
            assert answer(client, strategy) == expected
    with (
        servers.in_process(models=(models,), compute_threads=1) as other,
        nextlabel.Client(other.address, timeout=30) as again,
    ):
        assert answer(again, strategy) == expected
    assert answer(client, strategy, seed=4) != expected


def test_every_pass_is_a_member_of_the_committee(client, models):
    [model] = [m for m in graphs.ModelRepository.load([models]).models() if m[0].name == "random"]
    batches = [X[start : start + 256] for start in range(0, ROWS, 256)]
    runs = [
        model[0].run({"x": x}, first_row=0, cancel=graphs.CancelToken(), passes=5, seed=3)
        for x in batches
    ]
    committee = np.concatenate([np.stack(run.members, axis=1) for run in runs])
    assert committee.shape == (ROWS, 5, 3)
    for strategy in STRATEGIES:
        given = client.select(committee=committee, strategy=strategy, budget=20, seed=3)
        assert answer(client, strategy) == (given.indices.tolist(), given.scores.tolist())


def test_a_single_pass_gives_probabilities_that_the_seed_tells(client):
    one = answer(client, "margin", passes=1)
    assert answer(client, "margin", passes=1) == one
    assert answer(client, "margin", passes=1, seed=4) != one
    with pytest.raises(InvalidRequestError, match=r"models.*bald takes committee"):
        select(client, passes=1)


def test_passes_of_several_models_are_one_committee(client):
    alone = answer(client, "bald", passes=2)
    both = select(client, "bald", model=["random", "random"], passes=2)
    assert both.model == "random, random"
    # Members 0, 1, 0, 1: as unsure of themselves as 0, 1.
    np.testing.assert_allclose(both.scores, alone[1], rtol=1e-6)


def test_a_model_that_draws_nothing_has_no_passes(client):
    with pytest.raises(ModelError, match="'plain' version 1 draws nothing at random"):
        select(client, model="plain")
    assert len(select(client, "entropy", model="plain", passes=1)) == 20


def test_a_model_whose_draws_cannot_be_repeated_is_refused(client):
    for passes in (1, 5):
        with pytest.raises(ModelError, match="by a Dropout inside a If"):
            select(client, "entropy", model="unruly", passes=passes)


def test_the_number_of_passes_has_bounds(client, models):
    with pytest.raises(InvalidRequestError, match=r"models\[0\].passes: found 1001; 1 to 1000"):
        select(client, passes=1001)
    with pytest.raises(InvalidRequestError, match=r"passes: found 0; a whole number from 1"):
        select(client, passes=0)
    with (
        servers.in_process(models=(models,), memory_budget_bytes=12 << 20) as small,
        nextlabel.Client(small.address, timeout=30) as other,
    ):
        assert len(select(other, passes=10)) == 20
        with pytest.raises(LimitError, match="memory"):
            select(other, passes=1000)


def test_passes_can_be_cancelled(client):
    with pytest.raises(nextlabel.DeadlineError):
        select(client, passes=1000, inputs={"x": np.tile(X, (300, 1))}, timeout=0.5)
    assert len(select(client)) == 20


def test_models_that_draw_are_listed(client):
    listed = {model.name: model.versions[0] for model in client.models()}
    assert [name for name, version in listed.items() if version.stochastic] == ["random"]
    assert "If" in listed["unruly"].problem
