"""What models give beside what the caller sends: which of the two is used."""

import numpy as np
import pytest
from onnx import helper

from nextlabel import Client, Cost, ModelError
from tests import servers
from tests.inference import graphs

ROWS = 60
RNG = np.random.default_rng(1)
X = RNG.dirichlet(np.ones(4), size=ROWS).astype(np.float32)
OWN = RNG.normal(size=(ROWS, 3)).astype(np.float32)


def both():
    """The rows of x as probabilities, and their squares as embeddings."""
    nodes = [
        helper.make_node("Identity", ["x"], ["probabilities"]),
        helper.make_node("Mul", ["x", "x"], ["embeddings"]),
    ]
    outputs = [graphs.value(name, ["rows", 4]) for name in ("probabilities", "embeddings")]
    return graphs.model(nodes, [graphs.value("x", ["rows", 4])], outputs)


def same_of(name, columns=4):
    """Its only input, as its probabilities."""
    return graphs.identity("probabilities", ("rows", columns), source=name)


def one_label():
    return graphs.identity("probability", ("rows", 1))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    graphs.save(directory, "one", both())
    graphs.save(directory, "other", both())
    graphs.save(directory, "of-x", same_of("x"))
    graphs.save(directory, "of-y", same_of("y"))
    graphs.save(directory, "of-costs", same_of("pool/costs"))
    graphs.save(directory, "label", one_label())
    graphs.save(directory, "broken", b"hello")
    with servers.in_process(models=(directory,)) as server:
        yield server.address


@pytest.fixture
def client(address):
    with Client(address, timeout=30) as opened:
        yield opened


def picks(client, **options):
    return client.select(**{"budget": 20, "seed": 1, **options}).indices.tolist()


def test_a_distance_is_kept_between_embeddings_that_were_sent(client):
    kept = {"strategy": "margin", "embeddings": OWN, "min_distance": 1.5}
    expected = picks(client, probabilities=X, **kept)
    assert len(expected) < 20
    assert picks(client, model="one", inputs={"x": X}, **kept) == expected


def test_a_committee_gives_no_embeddings(client):
    asked = {"strategy": "k_center", "embeddings": OWN}
    found = picks(client, model=["one", "other"], inputs={"x": X}, **asked)
    assert found == picks(client, **asked)


def test_the_embeddings_of_a_model_are_used_where_none_are_sent(client):
    found = picks(client, model="one", inputs={"x": X}, strategy="k_center")
    assert found == picks(client, embeddings=X * X, strategy="k_center")


@pytest.mark.parametrize("strategy", ["max_loss", "mean_max_loss"])
def test_the_only_label_of_a_model_stays_one(client, strategy):
    label = X[:, :1]
    found = picks(client, model="label", inputs={"x": label}, strategy=strategy)
    assert found == picks(client, probabilities=label, strategy=strategy)


def test_each_member_takes_its_own_inputs(client):
    y = X[::-1].copy()
    found = picks(client, model=["of-x", "of-y"], inputs={"x": X, "y": y}, strategy="bald")
    assert found == picks(client, committee=np.stack([X, y], axis=1), strategy="bald")


def test_an_input_may_have_any_name(client):
    costs = np.linspace(1, 2, ROWS)
    priced = {"strategy": "margin", "budget": Cost(9.0), "costs": costs}
    found = picks(client, model="of-costs", inputs={"pool/costs": X}, **priced)
    assert found == picks(client, probabilities=X, **priced)


@pytest.mark.parametrize("strategy", ["margin", "k_center"])
def test_a_broken_model_says_so_whatever_is_asked_of_it(client, strategy):
    with pytest.raises(ModelError, match="model 'broken' version 1 cannot be used: "):
        picks(client, model="broken", inputs={"x": X}, strategy=strategy)


def test_what_is_not_wanted_is_not_computed(tmp_path):
    model = graphs.load(tmp_path, both())
    options = {"first_row": 0, "cancel": graphs.CancelToken()}
    found = model.run({"x": X}, wanted={"probabilities"}, **options)
    assert found.embeddings is None
    np.testing.assert_array_equal(found.probabilities, X)
    found = model.run({"x": X}, wanted={"embeddings"}, **options)
    assert found.members == ()
    np.testing.assert_array_equal(found.embeddings, X * X)
