"""Tensors that a strategy can use but does without, through a server: dpp's probabilities."""

import numpy as np
import pytest

import nextlabel
from nextlabel import InvalidRequestError
from tests import servers
from tests.inference import graphs

RNG = np.random.default_rng(8)
X = RNG.normal(size=(90, 3)).astype(np.float32)
P = RNG.dirichlet(np.ones(3), 90).astype(np.float32)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    nodes = [
        graphs.helper.make_node("Identity", ["p"], ["probabilities"]),
        graphs.helper.make_node("Identity", ["x"], ["embeddings"]),
    ]
    names = (("p", "x"), ("probabilities", "embeddings"))
    inputs, outputs = ([graphs.value(name, ["rows", 3]) for name in some] for some in names)
    graphs.save(directory, "both", graphs.model(nodes, inputs, outputs))
    graphs.save(directory, "one", graphs.model(nodes[1:], inputs[1:], outputs[1:]))
    with (
        servers.in_process(models=(directory,)) as server,
        nextlabel.Client(server.address) as opened,
    ):
        yield opened


def picks(client, **given):
    parameters = given.pop("parameters", {})
    return client.select(
        strategy="dpp", budget=9, seed=1, parameters=parameters, **given
    ).indices.tolist()


def test_it_works_with_and_without(client):
    without = picks(client, embeddings=X)
    both = picks(client, embeddings=X, probabilities=P)
    assert without != both
    assert picks(client, embeddings=X, probabilities=P, parameters={"weight": 0}) == without
    committee = P[:, None].repeat(2, axis=1)
    assert picks(client, embeddings=X, committee=committee) == both


def test_a_model_gives_what_it_has(client):
    both = picks(client, embeddings=X, probabilities=P)
    assert picks(client, model="both", inputs={"p": P, "x": X}) == both
    assert picks(client, model="one", inputs={"x": X}) == picks(client, embeddings=X)


def test_what_a_prefilter_needs_is_needed(client):
    with pytest.raises(InvalidRequestError, match="probabilities: missing"):
        picks(client, embeddings=X, prefilter={"strategy": "margin", "factor": 4})


def test_the_listing_says_that_it_is_optional(client):
    dpp = next(strategy for strategy in client.strategies() if strategy.name == "dpp")
    required = {tensor.name: tensor.required for tensor in dpp.tensors}
    assert required == {"embeddings": True, "probabilities": False, "committee": False}
