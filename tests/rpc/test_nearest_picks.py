"""What each pick stands for, through a server."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import nextlabel
from nextlabel import AsyncClient, InvalidRequestError, _request
from nextlabel_server.selection import all_strategies
from tests import servers
from tests.rpc.calls import Connection, header, joined, refusal, request, stream, tensor

ROWS = 300
RNG = np.random.default_rng(6)
X = RNG.normal(size=(ROWS, 4)).astype(np.float32) + 3
P = RNG.dirichlet(np.ones(3), size=ROWS)
COVERING = [s.name for s in all_strategies().values() if s.covers]
OTHERS = [s.name for s in all_strategies().values() if not s.covers]


@pytest.fixture(scope="module")
def server():
    with servers.in_process() as running:
        yield running


@pytest.fixture(params=[None, 2000], ids=["unary", "streamed"])
def client(server, request, monkeypatch):
    if request.param:
        monkeypatch.setattr(_request, "UNARY_BYTES", -1)
        monkeypatch.setattr(_request, "BLOCK_BYTES", request.param)
    with nextlabel.Client(server.address, timeout=30) as opened:
        yield opened


def select(client, strategy, **options):
    takes = {need.name for need in all_strategies()[strategy].sources}
    pool = {"probabilities": P} if "probabilities" in takes else {}
    return client.select(
        **pool,
        **{
            "embeddings": X,
            "strategy": strategy,
            "budget": 12,
            "seed": 1,
            "return_nearest_picks": True,
            **options,
        },
    )


def nearest_of(picked, metric="euclidean"):
    distances = cdist(X.astype(float), X[picked.indices].astype(float), metric)
    return picked.indices[distances.argmin(axis=1)]


@pytest.mark.parametrize("strategy", COVERING)
def test_every_row_is_told_its_nearest_pick(client, strategy):
    picked = select(client, strategy)
    cosine = "similarity" in {p.name for p in all_strategies()[strategy].own_parameters}
    expected = nearest_of(picked, "cosine" if cosine else "euclidean")
    np.testing.assert_array_equal(picked.nearest, expected)
    np.testing.assert_array_equal(
        picked.shares, [np.count_nonzero(expected == row) / ROWS for row in picked.indices]
    )
    assert (
        picked.indices.tolist()
        == select(client, strategy, return_nearest_picks=False).indices.tolist()
    )


def test_nearness_is_by_the_metric_of_the_strategy(client):
    by_angle = select(client, "k_center", parameters={"metric": "cosine"})
    np.testing.assert_array_equal(by_angle.nearest, nearest_of(by_angle, "cosine"))
    by_kernel = select(client, "facility_location", parameters={"similarity": "rbf"})
    np.testing.assert_array_equal(by_kernel.nearest, nearest_of(by_kernel))


def test_rows_that_cannot_be_picked_are_stood_for_too(client):
    picked = select(client, "k_center", exclude=range(100), max_per_group=3, groups=[0, 1] * 150)
    assert (picked.indices >= 100).all()
    np.testing.assert_array_equal(picked.nearest, nearest_of(picked))
    prefilter = {"strategy": "margin", "factor": 3}
    few = select(client, "k_center", prefilter=prefilter, probabilities=P)
    assert len(few.nearest) == ROWS
    np.testing.assert_array_equal(few.nearest, nearest_of(few))


def test_picks_carry_their_shares(client):
    ids = np.array([f"id-{row}" for row in range(ROWS)])
    picked = select(client, "k_means", ids=ids)
    assert picked[3:5].shares.tolist() == picked.shares[3:5].tolist()
    assert picked.columns()["share"] is picked.shares
    assert set(ids[picked.nearest]) == set(picked.ids)
    plain = select(client, "k_means", return_nearest_picks=False)
    assert (plain.shares, plain.nearest) == (None, None)
    assert "share" not in plain.columns()


async def test_an_async_client_is_told_the_same(server):
    with nextlabel.Client(server.address) as client:
        expected = select(client, "k_center")
    async with AsyncClient(server.address) as client:
        picked = await select(client, "k_center")
    np.testing.assert_array_equal(picked.nearest, expected.nearest)
    np.testing.assert_array_equal(picked.shares, expected.shares)


def test_no_picks_stand_for_nothing(client):
    picked = select(client, "k_center", exclude=range(ROWS))
    assert (len(picked), len(picked.shares), len(picked.nearest)) == (0, 0, 0)


@pytest.mark.parametrize("strategy", OTHERS)
def test_strategies_without_a_notion_of_cover_refuse(server, strategy):
    with (
        nextlabel.Client(server.address) as client,
        pytest.raises(InvalidRequestError, match=rf"picks of {strategy} do not stand.*k_center"),
    ):
        client.select(P, strategy=strategy, budget=2, return_nearest_picks=True,
                      parameters=required(strategy))  # fmt: skip


def required(strategy):
    declared = all_strategies()[strategy].parameters
    return {p.name: p.minimum or 0 for p in declared if p.default is None}


def test_the_listing_says_which_strategies_cover(client):
    listed = {strategy.name: strategy for strategy in client.strategies()}
    assert sorted(name for name, info in listed.items() if info.covers) == sorted(COVERING)
    assert [name for name, info in listed.items() if info.may_pick_fewer] == ["gist"]


def test_a_long_answer_comes_in_pieces(server):
    x = np.arange(150_000, dtype=np.float32)[:, None]
    whole = request(tensor("embeddings", x), strategy="k_center", return_nearest_picks=True)
    with Connection(server.address) as connection:
        answer = joined(connection.select_stream(stream(whole)))
    assert answer.indices == [74_999, 149_999]
    assert answer.shares == [112_500 / 150_000, 37_500 / 150_000]
    assert answer.nearest == [74_999] * 112_500 + [149_999] * 37_500


def test_its_memory_is_reserved():
    pool = tensor("embeddings", shape=[10**7, 2])
    budget = 1_000_000_000  # k_center itself takes three quarters of it
    with (
        servers.in_process(memory_budget_bytes=budget) as small,
        Connection(small.address) as connection,
    ):
        for asked, message in ((False, "stream ended after 0"), (True, "memory")):
            whole = request(pool, strategy="k_center", return_nearest_picks=asked)
            refused = refusal(lambda whole=whole: connection.select_stream(iter([header(whole)])))
            assert message in refused.message
