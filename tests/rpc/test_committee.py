"""Committees and items made of parts, through a server."""

from itertools import pairwise

import numpy as np
import pytest

import nextlabel
from nextlabel import InvalidRequestError, NotFoundError, _request
from tests import servers
from tests.inference import graphs

ROWS, MEMBERS, CLASSES = 400, 3, 4
COMMITTEE_STRATEGIES = ("vote_entropy", "bald", "entropy")


@pytest.fixture(scope="module")
def committee():
    """[N, M, C] float32, members of some sharpness that often disagree."""
    logits = np.random.default_rng(5).normal(size=(ROWS, MEMBERS, CLASSES)) * 2
    raw = np.exp(logits)
    return (raw / raw.sum(axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server with models m0, m1 and m2: each gives the columns of its number in x."""
    directory = tmp_path_factory.mktemp("models")
    for member in range(MEMBERS):
        first = member * CLASSES
        graphs.save(directory, f"m{member}", columns(first, first + CLASSES))
    graphs.save(directory, "pair", columns(0, 2))
    with servers.in_process(models=(directory,)) as server:
        yield server.address


@pytest.fixture
def client(address):
    with nextlabel.Client(address, timeout=30) as opened:
        yield opened


@pytest.fixture(params=[None, 20_000, 700], ids=["unary", "streamed", "streamed in small blocks"])
def shape_of_call(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(_request, "UNARY_BYTES", -1)
        monkeypatch.setattr(_request, "BLOCK_BYTES", request.param)


def columns(start, end):
    """A model that gives some columns of x [rows, 12] as its probabilities."""
    constants = [
        graphs.constant("start", np.int64([start])),
        graphs.constant("end", np.int64([end])),
        graphs.constant("axis", np.int64([1])),
    ]
    node = graphs.helper.make_node("Slice", ["x", "start", "end", "axis"], ["probabilities"])
    inputs = [graphs.value("x", ["rows", MEMBERS * CLASSES])]
    outputs = [graphs.value("probabilities", ["rows", end - start])]
    return graphs.model([node], inputs, outputs, constants)


def select(client, strategy="bald", **options):
    return client.select(
        **{"strategy": strategy, "budget": ROWS, "return_all_scores": True, **options}
    )


def best(scores, count):
    return sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:count]


def test_any_shape_of_call_gives_the_same_bits(client, committee, monkeypatch):
    for strategy in COMMITTEE_STRATEGIES:
        unary = select(client, strategy, committee=committee)
        for block_bytes in (20_000, 700):
            with monkeypatch.context() as patch:
                patch.setattr(_request, "UNARY_BYTES", -1)
                patch.setattr(_request, "BLOCK_BYTES", block_bytes)
                streamed = select(client, strategy, committee=committee)
            np.testing.assert_array_equal(streamed.all_scores, unary.all_scores)
            np.testing.assert_array_equal(streamed.indices, unary.indices)
            assert streamed.indices.tolist() == best(unary.all_scores, ROWS)


@pytest.mark.usefixtures("shape_of_call")
@pytest.mark.parametrize("strategy", COMMITTEE_STRATEGIES)
def test_several_models_are_the_committee_of_their_outputs(client, committee, strategy):
    x = committee.reshape(ROWS, -1)
    by_models = select(client, strategy, model=["m0", "m1", "m2"], inputs={"x": x})
    by_tensor = select(client, strategy, committee=committee)
    np.testing.assert_array_equal(by_models.all_scores, by_tensor.all_scores)
    np.testing.assert_array_equal(by_models.indices, by_tensor.indices)
    assert by_models.model == "m0, m1, m2"
    assert by_models.model_version == "1, 1, 1"


def test_each_model_of_a_committee_can_have_its_version(client, committee):
    x = committee.reshape(ROWS, -1)
    named = {"model": ("m2", "m0"), "inputs": {"x": x}}
    answer = select(client, model_version=(1, ""), **named)
    expected = select(client, committee=committee[:, [2, 0]])
    np.testing.assert_array_equal(answer.all_scores, expected.all_scores)
    with pytest.raises(NotFoundError, match="m0"):
        select(client, model_version=(1, 2), **named)
    with pytest.raises(InvalidRequestError, match=r"model_version.*found 3; one for each of 2"):
        select(client, model_version=(1, 1, 1), **named)


def test_one_model_is_no_committee(client, committee):
    with pytest.raises(InvalidRequestError, match=r"models.*bald takes committee"):
        select(client, model="m0", inputs={"x": committee.reshape(ROWS, -1)})


def test_models_that_give_other_classes_are_no_committee(client, committee):
    with pytest.raises(nextlabel.ModelError, match="4, 2 classes"):
        select(client, model=["m0", "pair"], inputs={"x": committee.reshape(ROWS, -1)})


def test_regression_tensors_reach_their_strategies(client):
    spread = np.float32([0.5, 2, 1])
    assert select(client, "std", std=spread).indices.tolist() == [1, 2, 0]
    values = [[1, 1], [0, 4], [2, 4]]
    by_variance = select(client, "variance_of_members", committee_values=values)
    assert by_variance.scores.tolist() == [4, 1, 0]


@pytest.mark.usefixtures("shape_of_call")
@pytest.mark.parametrize("labels", [[[1, 1], [0, 1]], np.zeros((0, 2), bool)])
def test_labels_of_labeled_rows_reach_the_strategy(client, labels):
    usual = np.sum(labels) / max(len(labels), 1)
    pool = [[0.9, 0.8], [0.1, 0.9], [0.1, 0.2]]
    answer = select(client, "label_cardinality", probabilities=pool, labeled_labels=labels)
    assert answer.all_scores.tolist() == [abs(n - usual) for n in (2, 1, 0)]


# Items made of parts: 60 items of the 400 rows, some of them empty.

OFFSETS = [0, *np.sort(np.random.default_rng(1).integers(0, ROWS, 59)).tolist(), ROWS]


def item_scores(scores, empty=0.0):
    parts = [scores[i:j] for i, j in pairwise(OFFSETS)]
    return [float(np.mean(p)) if len(p) else empty for p in parts]


@pytest.mark.usefixtures("shape_of_call")
def test_items_are_ranked_by_the_mean_of_their_parts(client, committee):
    by_row = select(client, "margin", committee=committee).all_scores
    ids = [f"item {i}" for i in range(60)]
    exclude = ["item 3", "item 17"]
    answer = select(
        client,
        "margin",
        committee=committee,
        item_offsets=OFFSETS,
        ids=ids,
        exclude=exclude,
        budget=0.2,
    )
    expected = item_scores(by_row)
    np.testing.assert_allclose(answer.all_scores, expected, rtol=1e-14)
    ranked = [i for i in best(answer.all_scores, 60) if i not in (3, 17)]
    assert answer.ids == [ids[i] for i in ranked[:12]]  # a fifth of 60 items
    assert answer.row_count == 60


def test_a_pool_of_unknown_length_gives_the_same_items(client, committee):
    whole = select(client, committee=committee, item_offsets=OFFSETS)
    batches = (committee[i : i + 57] for i in range(0, ROWS, 57))
    seen = []
    streamed = select(client, committee=batches, item_offsets=OFFSETS, progress=seen.append)
    np.testing.assert_array_equal(streamed.all_scores, whole.all_scores)
    np.testing.assert_array_equal(streamed.indices, whole.indices)
    assert seen[-1] == nextlabel.Progress(ROWS, ROWS, ROWS)


def test_parts_can_be_reduced_otherwise_and_empty_items_scored(client, committee):
    by_row = select(client, committee=committee).all_scores
    answer = select(
        client,
        committee=committee,
        item_offsets=OFFSETS,
        parameters={"reduce": "max", "empty_score": 7},
    )
    parts = [by_row[i:j] for i, j in pairwise(OFFSETS)]
    assert answer.all_scores.tolist() == [p.max() if len(p) else 7.0 for p in parts]


def test_random_draws_items(client, committee):
    options = {"committee": committee, "item_offsets": OFFSETS, "seed": 3}
    answer = select(client, "random", **options)
    assert sorted(answer.indices.tolist()) == list(range(60))
    assert select(client, "random", pool_size=60, seed=3).indices.tolist() == (
        answer.indices.tolist()
    )


@pytest.mark.usefixtures("shape_of_call")
@pytest.mark.parametrize(
    ("offsets", "problem"),
    [
        ([1, ROWS], "found 1 at position 0; 0 is right"),
        ([0, 9, 8, ROWS], "found 8 at position 2, after 9; offsets never decrease"),
        ([0, ROWS - 1], f"found {ROWS - 1} at position 1, the last; the pool has {ROWS} rows"),
        ([0, ROWS + 1], f"found {ROWS + 1} at position 1, the last; the pool has {ROWS} rows"),
        (np.empty(0, np.int64), r"I \+ 1 must be at least 1"),
        ([[0, ROWS]], r"\[I \+ 1\] is right"),
        ([0.0, ROWS], "found float64; int64 is right"),
        (5, "found a single value"),
    ],
)
def test_wrong_offsets_are_refused(client, committee, offsets, problem):
    with pytest.raises(InvalidRequestError, match=f"item_offsets.*{problem}"):
        select(client, committee=committee, item_offsets=offsets)


def test_offsets_that_do_not_fit_an_unknown_length_are_refused_at_its_end(client, committee):
    batches = (committee[i : i + 57] for i in range(0, ROWS, 57))
    with pytest.raises(InvalidRequestError, match="found 9 at position 1, the last; the pool has"):
        select(client, committee=batches, item_offsets=[0, 9])


def test_a_strategy_that_takes_no_items_refuses_them(client):
    with pytest.raises(InvalidRequestError, match="std ranks rows, not items"):
        select(client, "std", std=[1.0, 2.0], item_offsets=[0, 2])


def test_mnlp_needs_items(client, probabilities):
    with pytest.raises(InvalidRequestError, match=r"item_offsets.*missing; mnlp needs it"):
        select(client, "mnlp", probabilities=probabilities)
    offsets = np.arange(0, 1001, 10)
    answer = select(client, "mnlp", probabilities=probabilities, item_offsets=offsets)
    expected = -np.log(probabilities.max(axis=1)).reshape(100, 10).mean(axis=1)
    np.testing.assert_allclose(answer.all_scores, expected, rtol=1e-13)


def test_ids_and_exclude_must_be_those_of_items(client, committee):
    options = {"committee": committee, "item_offsets": OFFSETS}
    with pytest.raises(InvalidRequestError, match=r"ids.*found 400; the pool has 60 items"):
        select(client, ids=list(range(ROWS)), **options)
    with pytest.raises(InvalidRequestError, match=r"excluded.*found 60 at position 0; 0 to 59"):
        select(client, exclude=[60], **options)
