"""What every hybrid of uncertainty and diversity keeps to, whatever it picks by."""

import tracemalloc

import numpy as np
import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled
from nextlabel_server.selection import Constraints, Sizes, strategy_named
from nextlabel_server.selection.constraints import Limits
from tests.selection.pools import picking_of

HYBRIDS = (
    "badge",
    "clue",
    "cluster_margin",
    "contrastive",
    "falcun",
    "gist",
    "information_density",
    "mmr",
    "ranked_batch",
)
RNG = np.random.default_rng(23)


def pool(name, rows, dimensions=3, labeled=7, dtype=np.float64):
    """Arrays that the strategy takes."""
    classes = 3
    arrays = {
        "probabilities": RNG.dirichlet(np.ones(classes), rows).reshape(rows, classes),
        "embeddings": RNG.normal(size=(rows, dimensions)) + 0.5,
        "labeled_embeddings": RNG.normal(size=(labeled, dimensions)),
        "labeled_probabilities": RNG.dirichlet(np.ones(classes), labeled).reshape(labeled, classes),
    }
    taken = {tensor.name for tensor in strategy_named(name).tensors}
    return {key: values.astype(dtype) for key, values in arrays.items() if key in taken}


every_hybrid = pytest.mark.parametrize("name", HYBRIDS)


@every_hybrid
@pytest.mark.parametrize("rows", [0, 1, 2, 40])
@pytest.mark.parametrize("dimensions", [1, 3])
@pytest.mark.parametrize("labeled", [0, 7])
def test_a_budget_beyond_the_pool_ranks_all_of_it(name, rows, dimensions, labeled):
    picking = picking_of(name, 50, **pool(name, rows, dimensions, labeled))
    assert sorted(picking.rows) == list(range(rows))
    assert np.isfinite(picking.gains).all()


@every_hybrid
def test_rows_that_are_all_alike_are_all_ranked(name):
    given = pool(name, 1)
    alike = {
        key: values if key.startswith("labeled") else np.repeat(values, 30, axis=0)
        for key, values in given.items()
    }
    rows = picking_of(name, 50, **alike).rows
    assert sorted(rows) == list(range(30))
    if not strategy_named(name).stochastic:
        assert rows.tolist() == list(range(30))


@every_hybrid
def test_block_size_changes_nothing(name):
    given = pool(name, 200)
    whole = picking_of(name, 30, seed=3, **given)
    for block_rows in (1, 37):
        cut = picking_of(name, 30, seed=3, block_rows=block_rows, **given)
        assert cut.rows.tolist() == whole.rows.tolist()
        np.testing.assert_array_equal(cut.gains, whole.gains)


@every_hybrid
def test_all_limits_hold_together(name):
    rows = 300
    given = pool(name, rows)
    excluded, groups = np.arange(0, rows, 4), RNG.integers(0, 6, rows)
    costs, places = RNG.uniform(1, 3, rows), RNG.normal(size=(rows, 2)).astype(np.float32)
    limits = Limits(cost_budget=30.0, max_per_group=4, quotas={2: 1}, min_distance=0.3)
    constraints = Constraints(limits, excluded, costs, groups, places)
    picking = picking_of(name, 20, constraints=constraints, **given)
    picked = picking.rows
    assert len(picked) > 5
    assert len(set(picked)) == len(picked)
    assert not np.isin(picked, excluded).any()
    assert costs[picked].sum() <= 30 + 1e-9
    assert np.bincount(groups[picked]).max() <= 4
    assert np.count_nonzero(groups[picked] == 2) <= 1
    between = np.linalg.norm(places[picked][:, None] - places[picked], axis=2)
    assert (between + 9 * np.eye(len(picked)) >= 0.3).all()


@every_hybrid
def test_nothing_is_picked_for_nobody(name):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        picking_of(name, 5, cancel=token, **pool(name, 50))


class CancelledSoon(CancelToken):
    """Cancelled after it was looked at so many times."""

    looks = 4

    def check(self):
        self.looks -= 1
        if self.looks < 0:
            self.cancel()
        super().check()


@every_hybrid
def test_it_stops_on_its_way(name):
    with pytest.raises(Cancelled):
        picking_of(
            name,
            200,
            cancel=CancelledSoon(),
            **pool(name, 5000, labeled=0 if (name != "contrastive") else 4000),
        )


@every_hybrid
def test_the_first_row_is_no_more_special_when_all_is_far_away(name):
    """Moved by a power of two, which float32 keeps; what looks at products is not asked."""
    given = pool(name, 300, dtype=np.float32)
    if name in ("badge", "falcun", "information_density", "mmr"):
        pytest.skip("looks at directions or products, or at no embeddings")
    for key in ("embeddings", "labeled_embeddings"):
        if key in given:
            given[key] = np.round(given[key] * 256) / 256
    moved = {key: v + 8192 if "embeddings" in key else v for key, v in given.items()}
    near, far = (picking_of(name, 40, seed=1, **arrays) for arrays in (given, moved))
    assert near.rows.tolist() == far.rows.tolist()


@every_hybrid
@pytest.mark.parametrize(("rows", "dimensions", "labeled"), [(60_000, 24, 50), (3_000, 400, 500)])
def test_memory_is_what_is_declared(name, rows, dimensions, labeled):
    budget = 40
    strategy = strategy_named(name)
    given = pool(name, rows, dimensions, labeled, np.float32)
    blocks = sum(values.nbytes for values in given.values())
    tracemalloc.start()
    try:
        picking_of(name, budget, **given)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    sizes = Sizes(N=rows, B=budget, C=3, D=dimensions, L=labeled)
    # Besides the strategy's: what the helper holds to make one pool of all blocks.
    assert peak <= 1.2 * strategy.bytes_of(sizes) + 3 * blocks
