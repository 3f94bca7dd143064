"""Rows that a pick closes, as many of them as there may be."""

import numpy as np
import pytest

from nextlabel_server.errors import Cancelled, InvalidRequest
from nextlabel_server.selection import Constraints, Limits, Picking
from nextlabel_server.selection.distances import BLOCK_ELEMENTS


def test_what_is_too_close_is_found_in_parts_with_checks_between():
    checks = []
    places = np.random.default_rng(0).normal(size=(3 * BLOCK_ELEMENTS // 512, 512))
    constraints = Constraints(Limits(min_distance=32.0), places=places.astype(np.float32))
    close = constraints.too_close(5, lambda: checks.append(1))
    assert len(checks) == 3
    squared = np.square(np.float64(constraints.places) - constraints.places[5]).sum(axis=1)
    np.testing.assert_array_equal(close, squared < 32.0**2)
    assert 1 < np.count_nonzero(close) < len(places)


def test_a_pick_among_many_rows_stops_when_its_caller_goes():
    cancelled = False

    def check():
        if cancelled:
            raise Cancelled

    places = np.zeros((4, 2), np.float32)
    picking = Picking(4, 4, Constraints(Limits(min_distance=1.0), places=places), check=check)
    cancelled = True
    with pytest.raises(Cancelled):
        picking.take(0, 0.0)


def test_as_many_groups_as_rows_are_closed_together():
    rows = 100_000  # to go through all of them for each would take minutes
    groups = np.arange(rows)
    constraints = Constraints(Limits(quotas=dict.fromkeys(range(1, rows), 0)), groups=groups)
    constraints.check()
    picking = Picking(rows, rows, constraints)
    assert np.flatnonzero(picking.open).tolist() == [0]


def test_a_quota_of_a_group_without_rows_is_refused():
    constraints = Constraints(Limits(quotas={2: 1, 7: 1}), groups=np.array([2, 3]))
    with pytest.raises(InvalidRequest, match="group 7 has no row in groups"):
        constraints.check()
