"""What may be written for a selection."""

import click
import numpy as np
import pytest

from nextlabel.cli.arguments import assignment, budget
from tests.cli import command
from tests.cli.test_pools import indices


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("100", 100), ("0.01", 0.01), ("1%", 0.01), ("100%", 1.0), ("1.0", 1.0)),
        *(("1.1%", 0.011), ("0.07%", 0.0007), ("1e-1%", 0.001)),
    ],
)
def test_a_budget_is_a_number_of_rows_or_a_fraction(text, value):
    assert budget(text) == value
    assert type(budget(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=0.5", 0.5),
        ("a=true", True),
        ("a=softmax", "softmax"),
        ("a=x=y", "x=y"),
        ("a=[1]", "[1]"),
        ("a=", ""),
    ],
)
def test_an_assignment_has_a_number_a_truth_value_or_text(text, value):
    assert assignment(text) == ("a", value)


@pytest.mark.parametrize("text", ["a", "=1", ""])
def test_an_assignment_has_a_name_and_a_value(text):
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        assignment(text)


def test_a_fraction_is_of_the_pool(select, pool):
    assert indices(select(pool, budget="50%")) == [1, 3]


def test_a_percentage_is_no_row_more_than_it_says(select, tmp_path):
    np.save(tmp_path / "pool.npy", np.full((1000, 2), 0.5))
    assert len(select(tmp_path / "pool.npy", budget="1.1%")) == 11


def test_parameters_reach_the_strategy(address, pool):
    spec = ("--strategy=relevance", "--budget=2", f"--server={address}")
    result = command.here("select", pool, *spec, "--parameter=class_index=0")
    assert indices(command.rows_of(result.stdout)) == [0, 2]


def test_a_seed_gives_the_same_draw_again(select, pool):
    spec = ("--sampling=softmax", "--sampling-parameter=beta=0.1", "--seed=3")
    assert select(pool, *spec) == select(pool, *spec)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--budget=many"], "'--budget': 'many' is not a number of rows"),
        (["--budget=many%"], "'--budget': 'many%' is not a number of rows"),
        (["--budget=1e999999999%"], "'--budget': '1e999999999%' is not a number of rows"),
        (["--budget=nan%"], "budget: found nan"),
        (["--budget=0"], "budget: found 0"),
        (["--budget=1.5"], "budget: found 1.5"),
        (["--budget=nan"], "budget: found nan"),
        (["--strategy=nope"], "'nope'"),
        (["--parameter=nope=1"], "nope"),
        (["--parameter=tolerance=big"], "parameters.tolerance"),
        ([f"--parameter=tolerance={'1' * 400}"], "parameters.tolerance: found 111"),
        (["--sampling=nope"], "'nope'"),
        (["--sampling-parameter=beta=1"], "--sampling-parameter needs --sampling"),
        (["--sampling=power", "--sampling-parameter=method=top"], "--sampling says the method"),
        (["--passes=2"], "passes: found 2 without a model"),
        (["--seed=-1"], "'--seed'"),
        (["--timeout=0"], "'--timeout'"),
        (["--models=models"], "--models is for the command's own server"),
    ],
)
def test_what_is_wrong_is_refused_by_name(refused, pool, arguments, words):
    assert words in refused(pool, *arguments)
