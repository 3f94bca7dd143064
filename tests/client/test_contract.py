"""What both clients promise, against a server in this process and one in another."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import nextlabel
from nextlabel import InvalidRequestError, NotFoundError, Progress
from tests.client import oracle


def select(client, probabilities, **options):
    return client.select(probabilities, **{"strategy": "entropy", "budget": 10, **options})


@pytest.mark.usefixtures("shape_of_call")
def test_the_answer_is_the_ranking_by_hand(client, probabilities):
    picked = select(client, probabilities, budget=50, return_all_scores=True)
    expected = oracle.entropy(probabilities)
    assert picked.indices.tolist() == oracle.best(expected, 50)
    np.testing.assert_allclose(picked.scores, expected[picked.indices], rtol=1e-13)
    np.testing.assert_allclose(picked.all_scores, expected, rtol=1e-13, atol=1e-15)
    assert picked.strategy == "entropy"
    assert picked.row_count == 1000
    assert not picked.exhausted
    assert picked.ids is None
    assert picked.model == picked.model_version == ""


def test_unary_and_streamed_calls_give_the_same_bits(client, probabilities, monkeypatch):
    for kind in (np.float16, np.float32, np.float64):
        pool = probabilities.astype(kind)
        options = {"budget": 1000, "parameters": {"tolerance": 0.01}, "return_all_scores": True}
        unary = select(client, pool, **options)
        with monkeypatch.context() as patch:
            patch.setattr("nextlabel._request.UNARY_BYTES", -1)
            streamed = select(client, pool, **options)
        np.testing.assert_array_equal(unary.indices, streamed.indices)
        np.testing.assert_array_equal(unary.scores, streamed.scores)
        np.testing.assert_array_equal(unary.all_scores, streamed.all_scores)


def test_a_pool_is_streamed_once_it_is_over_a_mebibyte(server_process, open_client):
    with open_client(server_process.address) as client:
        for rows, method in ((100, "Select"), (70_000, "SelectStream")):
            pool = np.full((rows, 2), 0.5)
            select(client, pool, request_id=f"rows-{rows}")
            line = server_process.wait_for_call(request_id=f"rows-{rows}")
            assert (line["method"], line["rows"]) == (method, rows)
            assert line["bytes"] >= pool.nbytes


@pytest.mark.parametrize(
    ("budget", "rows"),
    [
        *((7, 7), (np.int64(7), 7), (np.uint8(7), 7), (5000, 1000)),
        *((0.25, 250), (1.0, 1000), (1e-9, 1), (np.float64(0.07), 70), (np.float32(0.07), 70)),
    ],
)
def test_a_budget_is_a_count_or_a_fraction(server, probabilities, budget, rows):
    with nextlabel.Client(server.address) as client:
        picked = select(client, probabilities, budget=budget)
    assert len(picked) == rows
    assert picked.exhausted == (budget == 5000)


@pytest.mark.parametrize(
    "budget",
    [True, np.True_, "10", None, 0.0, -0.1, 1.5, float("nan"), 2**70, 0, -3],
)
def test_other_budgets_are_refused(client, probabilities, budget):
    with pytest.raises(InvalidRequestError, match="budget") as caught:
        select(client, probabilities, budget=budget)
    assert caught.value.violations[0].field.startswith("budget")


@pytest.mark.usefixtures("shape_of_call")
def test_parameters_reach_the_strategy(client, probabilities):
    plain = select(client, probabilities)
    normalized = select(client, probabilities, parameters={"normalize": np.True_})
    np.testing.assert_allclose(normalized.scores, plain.scores / np.log(5), rtol=1e-13)

    one_class = select(
        client, probabilities, strategy="relevance", parameters={"class_index": np.int32(3)}
    )
    assert one_class.indices.tolist() == oracle.best(probabilities[:, 3], 10)


@pytest.mark.usefixtures("shape_of_call")
def test_a_cost_matrix_reaches_the_strategy(client, probabilities):
    costs = np.arange(25).reshape(5, 5) % 7
    picked = select(client, probabilities, strategy="expected_cost", cost_matrix=costs)
    expected = (probabilities @ costs).min(axis=1)
    assert picked.indices.tolist() == oracle.best(expected.round(12), 10)


@pytest.mark.usefixtures("shape_of_call")
def test_the_seed_that_is_reported_gives_the_same_draw_again(client, probabilities):
    for sampling in (
        "power",
        {"method": "softmax", "beta": 2.5},
        "softrank",
        {"method": "epsilon"},
    ):
        first = select(client, probabilities, sampling=sampling)
        again = select(client, probabilities, sampling=sampling, seed=first.seed)
        assert again.indices.tolist() == first.indices.tolist()
        assert again.seed == first.seed


@pytest.mark.usefixtures("shape_of_call")
def test_another_seed_gives_another_draw(client, probabilities):
    draws = [select(client, probabilities, sampling="power", seed=seed) for seed in range(5)]
    assert len({tuple(draw.indices) for draw in draws}) == 5
    assert [draw.seed for draw in draws] == list(range(5))
    assert select(client, probabilities, seed=2**64 - 1).seed == 2**64 - 1


def test_random_needs_only_the_size_of_the_pool(client, probabilities):
    by_size = client.select(strategy="random", pool_size=1000, budget=1000, seed=7)
    by_rows = select(client, probabilities, strategy="random", budget=1000, seed=7)
    in_blocks = select(client, iter([probabilities]), strategy="random", budget=1000, seed=7)
    large = client.select(strategy="random", pool_size=200_000, budget=3, seed=7)
    assert sorted(by_size.indices) == list(range(1000))
    assert by_size.indices.tolist() == by_rows.indices.tolist() == in_blocks.indices.tolist()
    assert by_size.scores.tolist() == sorted(np.random.default_rng(7).random(1000), reverse=True)
    assert large.scores.tolist() == sorted(np.random.default_rng(7).random(200_000))[:-4:-1]


@pytest.mark.usefixtures("shape_of_call")
def test_an_empty_pool_gives_an_empty_ranking(client):
    picked = select(client, np.empty((0, 3)), return_all_scores=True, ids=[])
    assert len(picked) == len(picked.all_scores) == len(picked.ids) == picked.row_count == 0
    assert picked.exhausted
    assert list(picked) == []
    assert "0 of 0 rows" in repr(picked)


@pytest.mark.usefixtures("shape_of_call")
def test_a_pool_of_one_row_gives_that_row(client):
    picked = select(client, [[0.5, 0.5]], budget=1)
    assert (picked.indices.tolist(), picked.priority.tolist()) == ([0], [1.0])
    assert picked.scores[0] == pytest.approx(np.log(2), rel=1e-15)
    assert not picked.exhausted


def test_a_selection_is_a_sequence_of_picks(client, probabilities):
    names = [f"item-{row}" for row in range(1000)]
    picked = select(client, probabilities, ids=names, budget=4)
    first, *_, last = picked
    assert first == picked[0] == (picked.indices[0], picked.ids[0], picked.scores[0], 1.0)
    assert (last.id, last.priority) == (names[last.index], 0.25)
    assert picked[-1] == last
    assert picked.priority.tolist() == [1.0, 0.75, 0.5, 0.25]

    part = picked[1:3]
    assert isinstance(part, nextlabel.Selection)
    assert part.ids == picked.ids[1:3]
    assert part.indices.tolist() == picked.indices[1:3].tolist()
    assert [pick.index for pick in picked[::-1]] == picked.indices[::-1].tolist()
    with pytest.raises(IndexError):
        picked[4]


def test_a_selection_shows_what_it_is(client, probabilities):
    shown = repr(select(client, probabilities, budget=6, seed=3))
    assert "6 of 1000 rows by entropy" in shown
    assert "…" in shown
    assert "seed 3" in shown


def test_a_selection_cannot_be_changed(client, probabilities):
    picked = select(client, probabilities, return_all_scores=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        picked.seed = 1
    for array in (picked.indices, picked.scores, picked.priority, picked.all_scores):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert picked.indices.dtype == np.int64
    assert picked.scores.dtype == picked.all_scores.dtype == np.float64


def test_a_selection_becomes_a_table(client, probabilities):
    names = np.array([f"item-{row}" for row in range(1000)])
    for ids in (None, names, names.tolist()):
        picked = select(client, probabilities, ids=ids, budget=3)
        for table in (picked.to_pandas(), picked.to_arrow().to_pandas()):
            assert table["index"].tolist() == picked.indices.tolist()
            assert table["score"].tolist() == picked.scores.tolist()
            assert table["priority"].tolist() == picked.priority.tolist()
            assert ("id" in table) == (ids is not None)
            if ids is not None:
                assert table["id"].tolist() == [names[row] for row in picked.indices]


@pytest.mark.usefixtures("shape_of_call")
def test_timings_and_the_request_id_come_back(client, probabilities):
    picked = select(client, probabilities, request_id="my call")
    assert picked.request_id == "my call"
    assert select(client, probabilities).request_id
    times = picked.timings
    assert 0 < times.selection <= times.total < 30
    assert times.inference == 0
    assert min(times.receive, times.queue) >= 0


@pytest.mark.usefixtures("shape_of_call")
def test_progress_only_grows_and_ends_at_the_total(client, probabilities, monkeypatch):
    monkeypatch.setattr("nextlabel_server.rpc.receiver.LOOK_SECONDS", 0)
    seen = []
    select(client, probabilities, progress=seen.append)
    assert seen[-1] == Progress(1000, 1000, 1000)
    for column in range(2):
        values = [progress[column] for progress in seen]
        assert values == sorted(values)
    assert {progress.total for progress in seen} == {1000}


def test_progress_does_not_know_the_total_of_an_iterator(server, open_client, monkeypatch):
    monkeypatch.setattr("nextlabel_server.rpc.receiver.LOOK_SECONDS", 0)
    seen = []
    with open_client(server.address) as client:
        select(client, iter([[[0.5, 0.5]]] * 20), progress=seen.append)
    assert len(seen) > 1
    assert {progress.total for progress in seen[:-1]} == {None}
    assert seen[-1] == Progress(20, 20, 20)


def test_what_the_callback_raises_ends_the_call(client, probabilities):
    def fail(_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        select(client, probabilities, progress=fail)
    assert len(select(client, probabilities)) == 10


def test_the_listings_say_what_there_is(client):
    client.wait_ready(timeout=5)
    strategies = {strategy.name: strategy for strategy in client.strategies()}
    assert {"random", "least_confidence", "margin", "ratio", "entropy", "gini"} <= set(strategies)
    assert strategies["threshold"].parameters[0].name == "class_index"
    samplings = [sampling.name for sampling in client.samplings()]
    assert sorted(samplings) == ["epsilon", "power", "softmax", "softrank", "top"]
    assert client.models() == []
    info = client.info()
    assert info.version == nextlabel.__version__
    assert info.max_rows > 1_000_000
    assert info.recommended_block_bytes == 1 << 20


def test_an_error_says_which_field_and_what_to_do(client, probabilities):
    with pytest.raises(InvalidRequestError, match="class_index") as caught:
        select(client, probabilities, strategy="relevance", request_id="wrong")
    assert caught.value.violations[0].field == "parameters.class_index"
    assert caught.value.request_id == "wrong"
    assert caught.value.reason == "INVALID_REQUEST"

    with pytest.raises(NotFoundError, match="least_confidence"):
        select(client, probabilities, strategy="entropie")
    with pytest.raises(NotFoundError, match="no model 'digits'"):
        client.select(strategy="entropy", budget=1, model="digits", inputs={"x": probabilities})


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("seed", {"seed": -1}),
        ("seed", {"seed": 2**64}),
        ("seed", {"seed": 1.5}),
        ("pool_size", {"pool_size": 7}),
        ("pool_size", {"probabilities": None, "pool_size": -1}),
        ("pool_size", {"probabilities": None, "pool_size": 2**70}),
        ("pool_size", {"probabilities": None, "pool_size": 1.5}),
        ("pool", {"probabilities": None}),
        ("strategy", {"strategy": 5}),
        ("model", {"model": 5}),
        ("model", {"model": ["digits", 5]}),
        ("model_version", {"model": "digits", "model_version": 1.5}),
        ("inputs", {"inputs": [1, 2]}),
        ("min_distance", {"min_distance": "near"}),
        ("return_all_scores", {"return_all_scores": "yes"}),
        ("return_nearest_picks", {"return_nearest_picks": 2}),
        ("timeout", {"timeout": "long"}),
        ("timeout", {"timeout": float("nan")}),
        ("request_id", {"request_id": 5}),
        ("sampling", {"sampling": 5}),
        ("sampling", {"sampling": {"beta": 1}}),
        ("parameters", {"parameters": [1]}),
        ("parameters.normalize", {"parameters": {"normalize": object()}}),
        ("parameters.normalize", {"parameters": {"normalize": float("nan")}}),
        ("probabilities", {"probabilities": 3}),
        ("probabilities", {"probabilities": {"a": [0.5]}}),
        ("probabilities", {"probabilities": [[0.5, 0.5], [1.0]]}),
        ("probabilities", {"probabilities": np.ones((2, 1), complex)}),
        ("probabilities", {"probabilities": "nowhere.npy"}),
        ("probabilities", {"probabilities": "table.xlsx"}),
        ("probabilities", {"probabilities": iter(())}),
        ("cost_matrix", {"cost_matrix": [["a"]]}),
        ("request_id", {"request_id": "two\nlines"}),
        ("inputs", {"inputs": np.eye(3)}),
        ("inputs", {"inputs": pd.DataFrame({"x": [1.0, 2.0]})}),
        ("inputs", {"inputs": {5: [[0.5]]}}),
        ("inputs", {"model": "digits", "inputs": {"\ud800": [[0.5]]}}),
        ("inputs", {"inputs": []}),
        ("parameters", {"parameters": np.eye(3)}),
        ("parameters", {"parameters": pd.DataFrame({"tolerance": [1.0, 2.0]})}),
        ("parameters", {"parameters": {"\ud800": 1}}),
        ("sampling", {"sampling": np.eye(3)}),
        ("sampling", {"sampling": pd.DataFrame({"method": ["top", "top"]})}),
        ("sampling", {"sampling": {"method": "\ud800"}}),
        ("sampling", {"sampling": "\ud800"}),
        ("parameters.tolerance", {"parameters": {"tolerance": 10**400}}),
        ("sampling.parameters.beta", {"sampling": {"method": "power", "beta": 10**400}}),
        ("timeout", {"timeout": 10**400}),
        ("min_distance", {"min_distance": 10**400}),
        ("prefilter", {"prefilter": {"strategy": "margin", "factor": 10**400}}),
        ("strategy", {"strategy": "\ud800"}),
        ("model", {"model": "\ud800"}),
        ("model_version", {"model": "digits", "model_version": "\ud800"}),
        ("passes", {"passes": 9}),
        ("model_version", {"model_version": "7"}),
        ("model_version", {"model_version": 0}),
        ("item_offsets", {"item_offsets": np.array([0, 2**63], np.uint64)}),
    ],
)
def test_an_argument_that_cannot_be_right_is_an_invalid_request(server, field, options):
    arguments = {"probabilities": [[0.5, 0.5]], "strategy": "entropy", "budget": 1, **options}
    with nextlabel.Client(server.address) as client, pytest.raises(InvalidRequestError) as caught:
        client.select(**arguments)
    assert field in caught.value.violations[0].field
