"""Constraints and the prefilter through a real server, with strategies of every kind."""

import re

import numpy as np
import pytest

from nextlabel import Client, Cost, InvalidRequestError
from tests import servers
from tests.rpc.calls import Connection, header, refusal, request, tensor

ROWS = 600
RNG = np.random.default_rng(3)
PROBABILITIES = RNG.dirichlet(np.ones(4), size=ROWS)
EMBEDDINGS = RNG.normal(size=(ROWS, 6))
GROUPS = RNG.integers(0, 5, ROWS)
COSTS = RNG.uniform(0.5, 3, ROWS)
MARGINS = np.sort(PROBABILITIES, axis=1)[:, -1] - np.sort(PROBABILITIES, axis=1)[:, -2]
BY_MARGIN = np.argsort(MARGINS, kind="stable")

KINDS = {
    "margin": {},
    "power": {"strategy": "entropy", "sampling": "power"},
    "random": {},
    "k_center": {},
    "badge": {},
    "k_means": {},
    "facility_location": {},
    "ranked_batch": {},
}


@pytest.fixture(scope="module")
def client(server):
    with Client(server.address) as client:
        yield client


@pytest.fixture(params=KINDS)
def select(request, client):
    """Selects by one kind of strategy, with embeddings at hand for all of them."""
    fixed = {"strategy": request.param, **KINDS[request.param]}

    def call(**options):
        arguments = {"probabilities": PROBABILITIES, "embeddings": EMBEDDINGS, "seed": 1}
        return client.select(**{**arguments, **fixed, **options})

    return call


def test_no_group_gives_more_than_its_quota(select):
    picked = select(budget=40, groups=GROUPS, max_per_group=3)
    assert np.bincount(GROUPS[picked.indices]).tolist() == [3] * 5
    assert picked.exhausted


def test_a_group_may_have_a_quota_of_its_own(select):
    picked = select(budget=40, groups=GROUPS, max_per_group={0: 0, 1: 2})
    counts = np.bincount(GROUPS[picked.indices], minlength=5)
    assert counts[0] == 0
    assert counts[1] <= 2
    assert counts.sum() == 40


def test_thousands_of_groups_have_quotas_of_their_own(client):
    groups = np.arange(1_000_000) % 10_000
    quotas = {group: group % 2 for group in range(10_000)}
    given = {"strategy": "random", "budget": 9_000, "seed": 1}
    picked = client.select(pool_size=len(groups), groups=groups, max_per_group=quotas, **given)
    counts = np.bincount(groups[picked.indices], minlength=10_000)
    assert counts.tolist() == [0, 1] * 5_000
    assert picked.exhausted


def test_picks_keep_their_distance(select):
    picked = select(budget=15, min_distance=2.0)
    places = EMBEDDINGS[picked.indices]
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    assert distances[np.triu_indices(len(places), 1)].min() >= 2.0


def test_the_budget_by_cost_is_kept_and_used(select):
    picked = select(budget=Cost(12), costs=COSTS)
    assert picked.spent_cost == pytest.approx(COSTS[picked.indices].sum())
    assert 12 - COSTS.min() * 3 < picked.spent_cost <= 12


def test_all_of_them_go_together(select):
    picked = select(
        budget=Cost(20),
        costs=COSTS,
        groups=GROUPS,
        max_per_group=4,
        min_distance=1.0,
        exclude=list(range(100)),
    )
    places = EMBEDDINGS[picked.indices]
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    assert COSTS[picked.indices].sum() <= 20
    assert np.bincount(GROUPS[picked.indices]).max() <= 4
    assert distances[np.triu_indices(len(places), 1)].min() >= 1.0
    assert picked.indices.min() >= 100


def test_margin_under_a_quota_is_the_plain_walk_down_its_ranking(client):
    picked = client.select(
        PROBABILITIES, strategy="margin", budget=12, groups=GROUPS, max_per_group=2
    )
    walked, counts = [], dict.fromkeys(range(5), 0)
    for row in BY_MARGIN:
        if counts[GROUPS[row]] < 2:
            counts[GROUPS[row]] += 1
            walked.append(row)
    assert picked.indices.tolist() == walked[:12]


def test_margin_by_cost_takes_the_most_score_for_its_cost(client):
    picked = client.select(PROBABILITIES, strategy="margin", budget=Cost(10), costs=COSTS)
    spent, walked = 0.0, []
    for row in np.argsort(-(1 - MARGINS) / COSTS, kind="stable"):
        if spent + COSTS[row] <= 10:
            spent += COSTS[row]
            walked.append(row)
    assert picked.indices.tolist() == walked


def test_one_dear_row_is_taken_where_it_is_worth_more_than_the_cheap_ones(client):
    # By score for cost 0.01 / 0.001 goes first, and then 1.0 no longer fits into 10.
    probabilities = np.array([[0.505, 0.495], [0.995, 0.005]])
    picked = client.select(
        probabilities, strategy="margin", budget=Cost(10), costs=np.array([10.0, 0.001])
    )
    assert picked.indices.tolist() == [0]
    assert picked.spent_cost == 10


def test_costs_that_add_up_to_the_budget_fit(client):
    picked = client.select(
        PROBABILITIES[:3], strategy="margin", budget=Cost(0.3), costs=np.full(3, 0.1)
    )
    assert len(picked) == 3


def test_a_prefilter_leaves_the_best_rows_to_the_strategy(client):
    kept = np.sort(BY_MARGIN[:60])
    picked = client.select(
        PROBABILITIES,
        embeddings=EMBEDDINGS,
        strategy="k_center",
        budget=12,
        prefilter={"strategy": "margin", "factor": 5},
    )
    alone = client.select(embeddings=EMBEDDINGS[kept], strategy="k_center", budget=12)
    assert picked.indices.tolist() == kept[alone.indices].tolist()


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("costs", {"budget": Cost(5)}),
        ("budget.cost", {"budget": Cost(0), "costs": COSTS}),
        ("costs", {"budget": Cost(5), "costs": np.where(np.arange(ROWS) == 7, 0, COSTS)}),
        ("constraints.group_quotas", {"groups": GROUPS, "max_per_group": {9: 1}}),
        ("groups", {"max_per_group": 1}),
        ("embeddings", {"min_distance": 1.0}),
        ("constraints.min_distance", {"embeddings": EMBEDDINGS, "min_distance": -1.0}),
        ("prefilter", {"prefilter": {"strategy": "margin", "factor": 2}}),
    ],
)
def test_a_limit_that_nothing_could_keep_is_refused(client, field, options):
    with pytest.raises(InvalidRequestError) as refusal:
        client.select(PROBABILITIES, strategy="entropy", **{"budget": 5, **options})
    assert refusal.value.violations[0].field == field


@pytest.mark.parametrize("cost", [-2.0, 1e-200, 1e200, np.nan])
def test_the_row_with_a_bad_cost_is_named(client, cost):
    costs = np.where(np.arange(ROWS) == 7, cost, COSTS)
    with pytest.raises(InvalidRequestError, match=f"costs: row 7 has {re.escape(f'{cost:g}')}"):
        client.select(PROBABILITIES, strategy="entropy", budget=Cost(5), costs=costs)


def test_rows_at_one_place_are_too_close_however_small_the_distance(client):
    given = {"strategy": "margin", "budget": 4, "probabilities": np.full((4, 2), 0.5)}
    places = np.repeat([[0.0], [1.0]], 2, axis=0)
    picked = client.select(embeddings=places, min_distance=1e-170, **given)
    assert picked.indices.tolist() == [0, 2]
    assert len(client.select(embeddings=places, min_distance=0, **given)) == 4


@pytest.mark.parametrize("kind", ["int8", "int16", "uint16", "bool"])
def test_groups_are_whole_numbers_of_any_size(client, kind):
    groups = np.array([0, 1, 0, 1], kind)
    given = {"strategy": "margin", "budget": 4, "probabilities": np.full((4, 2), 0.5)}
    picked = client.select(groups=groups, max_per_group=1, **given)
    assert picked.indices.tolist() == [0, 1]


def test_a_prefilter_keeps_as_many_rows_as_a_budget_by_cost_can_buy(client):
    given = {"embeddings": EMBEDDINGS, "probabilities": PROBABILITIES, "strategy": "k_center"}
    few = {"strategy": "margin", "factor": 2}
    rows = client.select(budget=5, prefilter=few, **given)
    costs = np.ones(len(EMBEDDINGS))
    bought = client.select(budget=Cost(5), costs=costs, prefilter=few, **given)
    assert bought.indices.tolist() == rows.indices.tolist()
    assert bought.indices.tolist() != client.select(budget=5, **given).indices.tolist()


def test_a_prefilter_keeps_what_its_factor_says_as_it_is_written(client):
    first = np.linspace(0.5, 0.99, 100)
    places = np.arange(100)[:, None] * 1e-3
    places[55] = 1000  # far away, and the first that is not among the 1.1 * 50 best
    picked = client.select(
        probabilities=np.c_[first, 1 - first],
        embeddings=places,
        strategy="k_center",
        budget=50,
        prefilter={"strategy": "margin", "factor": 1.1},
    )
    assert 55 not in picked.indices


def test_the_single_best_row_is_taken_where_it_is_worth_more_than_many_cheap_ones(client):
    given = {"probabilities": [[0.5, 0.5], [0.95, 0.05]], "costs": [10.0, 0.5], "budget": Cost(10)}
    for strategy in ({"strategy": "least_confidence"}, {"strategy": "expected_cost"}):
        if strategy["strategy"] == "expected_cost":
            strategy["cost_matrix"] = [[0.0, 10.0], [10.0, 0.0]]
        assert client.select(**strategy, **given).indices.tolist() == [0]


def test_the_memory_of_embeddings_that_only_a_distance_needs_is_reserved():
    pool = (tensor(shape=[10**6, 2]), tensor("embeddings", shape=[10**6, 100]))
    with (
        servers.in_process(memory_budget_bytes=256 << 20) as small,
        Connection(small.address) as connection,
    ):
        for constraints, message in (({}, "stream ended after 0"), ({"min_distance": 1}, "memory")):
            whole = request(*pool, constraints=constraints)
            refused = refusal(lambda whole=whole: connection.select_stream(iter([header(whole)])))
            assert message in refused.message
