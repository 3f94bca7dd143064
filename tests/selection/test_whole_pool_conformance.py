import pytest

from tests.selection.whole_pool_conformance import (
    cases,
    check_as_many_rows_as_there_are_and_none_twice,
    check_neither_blocks_nor_number_types_change_the_picks,
    checks_of,
    varied_cases,
)

CHECKS = [
    pytest.param(check, case, id=f"{case}-{check.__name__.removeprefix('check_')}")
    for case in cases()
    for check in checks_of(case)
]


@pytest.mark.parametrize(("check", "case"), CHECKS)
def test_strategy(check, case):
    check(case)


@pytest.mark.parametrize("case", varied_cases(), ids=str)
def test_strategy_with_other_parameters(case):
    check_as_many_rows_as_there_are_and_none_twice(case)
    check_neither_blocks_nor_number_types_change_the_picks(case)
