"""`nextlabel serve`: its settings, its end."""

import dataclasses
import os
import signal
import threading

import numpy as np
import pytest

from nextlabel import Client
from nextlabel_server import cli
from nextlabel_server.settings import Settings
from tests.cli import command
from tests.servers import wait_for

FREE = "--address=127.0.0.1:0"


@pytest.fixture
def parsed(monkeypatch):
    """Runs `serve` up to the server; returns the settings that it would have had."""
    seen = []

    class Recorded:
        def __init__(self, settings):
            seen.append(settings)

        def run(self):
            pass

    monkeypatch.setattr(cli, "Server", Recorded)
    monkeypatch.setattr(cli.logs, "configure", lambda *_: None)

    def run(*arguments, **environment):
        result = command.here("serve", *arguments, **environment)
        assert result.exit_code == 0, result.output
        return seen.pop()

    return run


def test_a_server_without_options_has_the_default_settings(parsed):
    assert parsed() == Settings()


def test_every_setting_is_an_option_and_a_variable_in_the_help():
    said = command.one_line(command.here("serve", "--help").stdout)
    for field in dataclasses.fields(Settings):
        assert f"--{field.name.replace('_', '-')} " in said
        shown = field.metadata["default_text"] or field.default
        start = said.index(f"[env var: NEXTLABEL_{field.name.upper()};")
        assert f"default: {shown}" in said[start : said.index("]", start)].replace("(", "")


@pytest.mark.parametrize("how", ["option", "variable"])
def test_settings_come_from_options_and_from_variables(parsed, how):
    values = {"address": "[::1]:0", "max_rows": "5", "stall_seconds": "2.5", "log_level": "debug"}
    if how == "option":
        settings = parsed(*(f"--{name.replace('_', '-')}={v}" for name, v in values.items()))
    else:
        settings = parsed(**{f"NEXTLABEL_{name.upper()}": v for name, v in values.items()})
    expected = Settings(address="[::1]:0", max_rows=5, stall_seconds=2.5, log_level="debug")
    assert settings == expected


def test_an_option_wins_over_a_variable(parsed):
    assert parsed("--max-rows=5", NEXTLABEL_MAX_ROWS="6").max_rows == 5


def test_several_model_directories_may_be_given(parsed):
    by_option = parsed("--models=a", "--models=b").models
    by_variable = parsed(NEXTLABEL_MODELS=os.pathsep.join("ab")).models
    assert [str(path) for path in by_option] == ["a", "b"]
    assert by_variable == by_option


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("address", "localhost"),
        ("address", "localhost:http"),
        ("address", "localhost:65536"),
        ("address", ":50051"),
        ("address", "::1:50051"),
        ("address", "unix:"),
        ("address", "unix:" + "x" * 108),
        ("address", "dns:///localhost:50051"),
        ("max_rows", "0"),
        ("max_rows", "many"),
        ("max_rows", "1.5"),
        ("max_message_bytes", str(2**31)),
        ("memory_budget_bytes", "1"),
        ("grace_seconds", "-1"),
        ("drain_seconds", "inf"),
        ("drain_seconds", "nan"),
        ("connection_age_seconds", "1000001"),
        ("log_level", "loud"),
        ("log_format", "xml"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_value(setting, value):
    option, variable = f"--{setting.replace('_', '-')}", f"NEXTLABEL_{setting.upper()}"
    for result in (
        command.here("serve", f"{option}={value}"),
        command.here("serve", **{variable: value}),
    ):
        said = command.one_line(result.stderr)
        assert result.exit_code == 2
        assert f"'{option}' (env var: '{variable}')" in said
        assert value in said


def test_a_wrong_setting_is_a_few_lines_and_no_server(tmp_path):
    done = command.process("serve", NEXTLABEL_ADDRESS="nowhere")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "NEXTLABEL_ADDRESS" in done.stderr


def test_a_model_directory_that_is_missing_is_one_line(tmp_path):
    done = command.process("serve", FREE, "--models", tmp_path / "none")
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: model directory '{tmp_path / 'none'}': No such file or directory\n"
    )


def test_a_port_that_is_taken_is_one_line():
    with command.started("serve", FREE) as first:
        address = command.address_of(first)
        second = command.process("serve", f"--address={address}")
        assert second.returncode == 1
        assert "Traceback" not in second.stderr
        said = f"Error: cannot listen on {address}: it is in use"
        assert said in second.stderr.splitlines()[-1]
        with Client(address) as client:
            assert client.info().version


def test_models_are_served(models):
    started = command.started("serve", FREE, "--models", models)
    with started as server, Client(command.address_of(server)) as client:
        assert [model.name for model in client.models()] == ["broken", "half", "joined", "same"]


def test_a_socket_may_be_listened_on(tmp_path):
    started = command.started("serve", f"--address=unix:{tmp_path}/socket")
    with started as server, Client(command.address_of(server)) as client:
        assert client.info().version


class HeldCall:
    """A selection that goes on sending until it is told to finish."""

    def __init__(self, address):
        self._finish = threading.Event()
        self._received = threading.Event()
        self._client = Client(address)
        self._batches_sent = 0
        self._outcome = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        assert self._received.wait(10), "the server tells of progress"
        return self

    def __exit__(self, *_):
        self._finish.set()
        self._thread.join()
        self._client.close()

    def finish(self):
        """Ends the pool; returns how many rows were sent, and the answer."""
        self._finish.set()
        self._thread.join()
        return 10 * self._batches_sent, self._outcome

    def _batches(self):
        while not self._finish.wait(0.02):
            self._batches_sent += 1
            yield np.full((10, 2), 0.5)

    def _run(self):
        try:
            self._outcome = self._client.select(
                self._batches(),
                strategy="margin",
                budget=1.0,
                progress=lambda _: self._received.set(),
            )
        except Exception as error:
            self._outcome = error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_call_finish_and_ends_with_0(number):
    with command.started("serve", FREE) as server:
        with HeldCall(command.address_of(server)) as call:
            server.send_signal(number)
            assert not wait_for(lambda: server.poll() is not None, 0.5), "it waits for the call"
            sent, answer = call.finish()
            assert len(answer) == sent
        said = server.communicate(timeout=10)[1]
    assert server.returncode == 0, said
    assert '"event": "stopped"' in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(number):
    with command.started("serve", FREE) as server, HeldCall(command.address_of(server)):
        server.send_signal(number)
        assert not wait_for(lambda: server.poll() is not None, 0.5)
        server.send_signal(number)
        assert server.wait(2) == 128 + number
