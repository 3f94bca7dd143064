"""What every hybrid of uncertainty and diversity keeps to, whatever it picks by."""

import tracemalloc

import numpy as np
import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled
from nextlabel_server.selection import Constraints, Gatherer, Picking, Sizes, strategy_named
from nextlabel_server.selection.constraints import Limits
from nextlabel_server.selection.parameters import accept_parameters
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
    given = pool(name, 5000, labeled=4000 if name == "contrastive" else 0)
    with pytest.raises(Cancelled):
        picking_of(name, 200, cancel=CancelledSoon(), **given)


@pytest.mark.parametrize("name", ["clue", "cluster_margin", "contrastive", "gist", "ranked_batch"])
def test_distances_far_from_the_origin_are_those_near_it(name):
    """Moved by a power of two, so that float32 holds the same differences."""
    given = pool(name, 300, dtype=np.float32)
    places = {key: np.round(v * 256) / 256 for key, v in given.items() if "embeddings" in key}
    moved = {key: values + 8192 for key, values in places.items()}
    near, far = (picking_of(name, 40, seed=1, **(given | at)) for at in (places, moved))
    assert near.rows.tolist() == far.rows.tolist()


@every_hybrid
@pytest.mark.parametrize(("rows", "dimensions", "labeled"), [(20_000, 24, 50), (3_000, 400, 500)])
def test_memory_is_what_is_declared(name, rows, dimensions, labeled):
    budget = 40
    strategy, given = strategy_named(name), pool(name, rows, dimensions, labeled, np.float32)
    sources = tuple(t for need in strategy.needs for t in need if t.name in given)
    references = {t.name: t.accept(t.name, given[t.name]) for t in strategy.references}
    parameters = accept_parameters(strategy.parameters, {}, field="", owner=name)
    gatherer = Gatherer(strategy, sources, parameters, references)
    columns = gatherer.take(given, 0)
    whole = gatherer.pool(columns, rows, np.random.default_rng(0))
    stored = sum(v.nbytes for v in (*columns.values(), *whole.references.values()))
    own = {p.name: parameters[p.name] for p in strategy.own_parameters}
    tracemalloc.start()
    try:
        strategy.score(whole, Picking(rows, budget, Constraints()), **own)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    declared = strategy.bytes_of(Sizes(N=rows, B=budget, C=3, D=dimensions, L=labeled))
    assert stored + peak <= 1.2 * declared
