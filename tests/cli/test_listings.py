"""`nextlabel strategies`, `models` and `info`."""

import json

import pytest

import nextlabel
from tests.cli import command


@pytest.fixture
def listed(address):
    def run(*arguments):
        result = command.here(*arguments, f"--server={address}")
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def line_of(table, name):
    """The cells of the first line about `name`."""
    line = next(line for line in table.splitlines() if line.startswith(f"│ {name} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_strategies_are_a_table(listed):
    table = listed("strategies")
    _, family, needs, parameters, description = line_of(table, "threshold")
    assert (family, needs, parameters) == ("target_class", "probabilities [N, C]", "class_index")
    assert description.startswith("Favours rows")
    assert line_of(table, "power")[1] == "beta=1.0"


def test_strategies_are_json_with_every_detail(listed):
    answer = json.loads(listed("strategies", "--json"))
    by_name = {strategy["name"]: strategy for strategy in answer["strategies"]}
    required, threshold, *_ = by_name["threshold"]["parameters"]
    assert "default_value" not in required
    assert (threshold["name"], threshold["default_value"]) == ("threshold", 0.5)
    assert threshold["type"] == "PARAMETER_TYPE_NUMBER"
    assert {method["name"] for method in answer["samplings"]} >= {"top", "epsilon"}


def test_models_are_a_table(listed):
    cells = line_of(listed("models"), "same")
    assert cells[:2] == ["same", "1"]
    assert cells[2] == "x: tensor(float) [any, 2]"
    assert cells[3] == "probabilities: tensor(float) [any, 2] → probabilities"


def test_models_that_cannot_be_used_say_why(listed):
    assert line_of(listed("models"), "broken")[-1]


def test_models_are_json_with_every_detail(listed):
    same = next(
        model for model in json.loads(listed("models", "--json")) if model["name"] == "same"
    )
    (version,) = same["versions"]
    assert version["inputs"][0]["shape"] == [-1, 2]
    assert version["outputs"][0]["role"] == "OUTPUT_ROLE_PROBABILITIES"


def test_info_is_a_table(listed):
    assert line_of(listed("info"), "version") == ["version", nextlabel.__version__]


def test_info_is_json_with_numbers(listed):
    assert json.loads(listed("info", "--json"))["max_rows"] == 100_000_000


def test_listings_need_no_server():
    done = command.process("strategies", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["strategies"]
    assert not done.stderr


def test_a_server_that_is_not_there_is_one_line():
    done = command.process("info", "--server=127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no server at 127.0.0.1:1 answered")
    assert done.stderr.count("\n") == 1
