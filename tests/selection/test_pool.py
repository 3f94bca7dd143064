"""Where the origin of a pool's embeddings is."""

import numpy as np
import pytest

from nextlabel import Client
from nextlabel_server.selection.pool import far_middle
from tests import servers


def test_rows_near_the_origin_stay_where_they_are():
    x = np.random.default_rng(0).normal(size=(700, 5)).astype(np.float32)
    assert not far_middle(x).any()
    assert not far_middle(x * np.float32(1e-18)).any()
    assert not far_middle(np.zeros((4, 3), np.float32)).any()


def test_rows_far_away_do_not_move_the_middle_of_the_others():
    x = np.random.default_rng(0).normal(size=(700, 5)).astype(np.float32) + 1000
    x[:30] = 1e12
    assert np.abs(far_middle(x) - 1000).max() < 1
    assert far_middle(x).dtype == np.float32


@pytest.fixture(scope="module")
def client():
    with servers.in_process() as server, Client(server.address) as opened:
        yield opened


@pytest.mark.parametrize("far", [1e5, 1e8])
def test_a_first_row_that_is_far_away_costs_the_others_nothing(client, far):
    x = np.array([[far], [0], [1], [2], [3.5]], np.float32)
    nothing = np.zeros((1, 1), np.float32)
    given = {"strategy": "k_center", "labeled_embeddings": nothing, "budget": 4}
    picked = client.select(embeddings=x, exclude=[0], **given)
    assert picked.indices.tolist() == [4, 3, 2, 1]
    assert picked.scores.tolist() == [3.5, 1.5, 1, 0]


def test_a_distance_is_kept_though_the_first_row_is_far_away(client):
    x = np.array([[5e7], [0], [1.9], [2.1], [6]], np.float32)
    given = {"strategy": "margin", "probabilities": np.full((5, 2), 0.5), "budget": 5}
    assert client.select(embeddings=x, min_distance=3.0, **given).indices.tolist() == [0, 1, 4]
