"""The exit status tells a wrong request from a server that failed."""

import pytest

import nextlabel
from nextlabel.cli import pool as pools
from tests.cli import command


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (nextlabel.InvalidRequestError, 2),
        (nextlabel.NotFoundError, 2),
        (nextlabel.ModelError, 1),
        (nextlabel.LimitError, 1),
        (nextlabel.BusyError, 1),
        (nextlabel.UnavailableError, 1),
        (nextlabel.DeadlineError, 1),
        (nextlabel.ServerError, 1),
        (KeyboardInterrupt, 130),
    ],
)
def test_every_error_has_its_status(monkeypatch, address, pool, error, exit_code):
    def fail(*_):
        raise error("what happened")

    monkeypatch.setattr(pools, "read", fail)
    spec = ("--strategy=margin", "--budget=1", f"--server={address}")
    result = command.here("select", pool, *spec)
    assert result.exit_code == exit_code
    assert result.stderr == ("" if exit_code == 130 else "Error: what happened\n")


def test_every_violation_is_told(monkeypatch, address, pool):
    violations = tuple(nextlabel.Violation(name, "is wrong") for name in ("costs", "groups"))

    def fail(*_):
        raise nextlabel.InvalidRequestError("two are wrong", violations=violations)

    monkeypatch.setattr(pools, "read", fail)
    spec = ("--strategy=margin", "--budget=1", f"--server={address}")
    said = command.here("select", pool, *spec).stderr
    assert said == "Error: two are wrong\n  costs: is wrong\n  groups: is wrong\n"


def test_a_refusal_of_the_server_is_a_usage_error_without_a_traceback(pool):
    done = command.process("select", pool, "--strategy=nope", "--budget=1")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: strategy: 'nope' is unknown; there are ")
    assert done.stderr.count("\n") == 1


def test_a_deadline_that_passes_is_a_failure_of_the_server(pool):
    spec = ("--strategy=margin", "--budget=1", "--timeout=0.000001")
    assert command.process("select", pool, *spec).returncode == 1


@pytest.mark.parametrize("arguments", [["nope"], ["select"], ["select", "none.npy"], ["--nope"]])
def test_a_wrong_command_line_is_a_usage_error(arguments):
    result = command.here(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
